//! Signals that reach a fiber where it runs: in code of its own, or in a handler.
//!
//! Who sends a signal to a fiber puts it down (`pending.rs`), and has the fiber's thread look for it, by a signal of the same number with a mark: so the mask
//! in the kernel counts, which is that of the handler that runs there, and what the signal does to a system call.

#![expect(unsafe_code, reason = "sends signals to threads")]

use std::ffi::{c_int, c_void};
use std::ptr;

use abaca::hook::{self, mail};
use libc::siginfo_t;

use super::frames::is_in_handler;
use super::handlers::{has_handler, index, run};
use super::record::Record;
use super::relay::note_handled;
use super::{details, faults, masks, waiting};
use crate::calls::kick::set_mask;
use crate::enter::enter;
use crate::kernel::kernel;

/// Marks the signals by which [`look_for`] brings others.
static SEARCH: u8 = 0;

/// Calls `f`, during which no handler of what is sent to the caller runs: it runs afterwards.
pub(super) fn undisturbed(f: impl FnOnce()) {
    let within = enter();
    if within.is_none() && is_in_handler() {
        // SAFETY: two sets of this function's.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            set_mask(libc::SIG_SETMASK, &all, &mut before);
            f();
            set_mask(libc::SIG_SETMASK, &before, ptr::null_mut());
        }
    } else {
        f();
    }
}

/// Has a thread look whether the fiber that is there was sent this signal, which has a handler. If that is taken off meanwhile, `handlers.rs`
/// leaves its own function there.
pub(super) fn look_for(thread: i32, signal: c_int) {
    let mark = libc::sigval { sival_ptr: ptr::from_ref(&SEARCH).cast_mut().cast() };
    // Without one the thread takes it in its next call.
    let Some(index) = index(signal).filter(|index| has_handler(*index)) else { return };
    let info = details::sent(index, libc::SI_QUEUE, Some(mark));
    // SAFETY: what is told of the signal is this function's. If the kernel keeps no more, the fiber finds it in its next call.
    unsafe {
        kernel!(libc::SYS_rt_tgsigqueueinfo, kernel!(libc::SYS_getpid), thread, signal, &raw const info);
    }
}

/// Whether a signal comes from [`look_for`].
pub(super) fn is_search(info: &siginfo_t) -> bool {
    // SAFETY: the kernel has written a signal's value where its code says that it has one.
    info.si_code == libc::SI_QUEUE
        && unsafe { info.si_value() }.sival_ptr.cast_const() == ptr::from_ref(&SEARCH).cast()
}

/// Has the main thread look for a signal that waits for the process, and that it does not block. May be called in a handler.
pub(super) fn look_on_main(signal: c_int) {
    // SAFETY: no memory is involved.
    look_for(unsafe { kernel!(libc::SYS_getpid) as i32 }, signal);
}

/// Runs the handlers of what was sent to the fiber that was interrupted, if it is there for that: outside of the runtime, or in a handler. Else it looks
/// itself when it leaves the runtime. The main thread, where it is no fiber's, takes what waits for the process.
pub(super) fn search(signal: c_int, index: usize, context: *mut c_void) {
    if masks::is_main_thread() {
        while has_handler(index)
            && !masks::main_blocks(index)
            && let Some(mut info) = waiting::take_of_process(index)
        {
            if run(signal, index, &mut info, context, false) && hook::handles_for_fibers() {
                note_handled(index);
            }
        }
        return;
    }
    if !is_in_handler() && !faults::is_in_handler() && !mail::is_in_own_code() {
        return;
    }
    let Some(record) = Record::current() else { return };
    while has_handler(index)
        && let Some(mut info) = record.pending.take(index)
    {
        run(signal, index, &mut info, context, false);
    }
}
