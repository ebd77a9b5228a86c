//! The handlers of signals that the caller is in, and the calls from which it runs them. Both are on its stack, innermost first.
//!
//! A handler may jump out (`jumps.rs`): then its frames do not end, and what they would have put right is put right here.

#![expect(
    unsafe_code,
    reason = "follows frames of the caller's stack, and reads what the kernel has written there"
)]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use abaca::hook::{self, Frames};
#[cfg(target_arch = "x86_64")]
use libc::SIG_SETMASK;
use libc::{sigset_t, ucontext_t};

use super::masks;
#[cfg(target_arch = "x86_64")]
use super::record::Record;
#[cfg(target_arch = "x86_64")]
use crate::calls::kick::set_mask;
use crate::enter::within_handler;

/// A handler of the user's that runs.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "jumps are not hooked"))]
struct Handling {
    outer: *const Handling,
    /// From where the caller runs it; null if it has interrupted the caller.
    attending: *const Attending,
    /// Whether the caller was within a hook.
    was_within: bool,
    /// What the kernel has interrupted.
    context: *const ucontext_t,
}

/// A call that runs handlers for its fiber.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "as above"))]
pub(super) struct Attending {
    outer: *const Attending,
    signals: u64,
    /// What the runtime has of the call.
    frames: Frames,
    /// The mask of the OS thread.
    mask: sigset_t,
}

thread_local! {
    static HANDLING: Cell<*const Handling> = const { Cell::new(ptr::null()) };
    static ATTENDING: Cell<*const Attending> = const { Cell::new(ptr::null()) };
}

/// Whether the caller is in a handler.
pub(super) fn is_in_handler() -> bool {
    !HANDLING.get().is_null()
}

/// Whether the caller sends this signal to itself, since others have sent it to the caller.
pub(super) fn attends(signal: usize) -> bool {
    // SAFETY: it is in a frame of the caller's that has not ended.
    unsafe { ATTENDING.get().as_ref() }.is_some_and(|attending| attending.signals & masks::bit(signal) != 0)
}

/// Calls `run`, which runs the handlers of these signals here.
pub(super) fn attending(signals: u64, frames: Frames, mask: sigset_t, run: impl FnOnce()) {
    let frame = Attending { outer: ATTENDING.get(), signals, frames, mask };
    ATTENDING.set(&raw const frame);
    run();
    ATTENDING.set(frame.outer);
}

/// Calls a handler of the user's. In it the hooks are libc's own functions, wherever it has interrupted the caller.
pub(super) fn handling(is_attending: bool, context: *const c_void, handler: impl FnOnce()) {
    let frame = Handling {
        outer: HANDLING.get(),
        attending: if is_attending { ATTENDING.get() } else { ptr::null() },
        was_within: hook::set_within(true),
        context: context.cast(),
    };
    HANDLING.set(&raw const frame);
    within_handler(handler);
    HANDLING.set(frame.outer);
    hook::set_within(frame.was_within);
}

/// The caller is about to jump to frames whose stack pointer is `target`: it leaves the handlers whose frames are further in.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(super) fn leave(target: usize) {
    let here = 0_u8;
    let mut end = (&raw const here).addr();
    // SAFETY: frames of the caller's that have not ended.
    while let Some(frame) = unsafe { HANDLING.get().as_ref() } {
        // A handler that has a stack of its own has its frames there as well.
        if (end..ptr::from_ref(frame).addr()).contains(&target) {
            return;
        }
        // SAFETY: as above.
        let attending = unsafe { frame.attending.as_ref() };
        // In a handler the hooks are libc's own functions: one that it was interrupted in is not the runtime's.
        let interrupts_hook = frame.was_within && frame.outer.is_null() && hook::on_fiber();
        let is_in_runtime = attending.map_or(interrupts_hook, |attending| attending.frames == Frames::Held);
        if is_in_runtime || hook::handles_for_fibers() {
            eprintln!("abaca-transparent: a handler of a signal jumps out of a call in which a fiber waits");
            std::process::abort();
        }
        // SAFETY: the kernel has written it for the handler. It has one word of the mask.
        let before = unsafe {
            end = (&raw const (*frame.context).uc_mcontext.gregs[libc::REG_RSP as usize]).read() as usize;
            let mut before: sigset_t = std::mem::zeroed();
            let word = (&raw const (*frame.context).uc_sigmask).cast::<u64>().read();
            (&raw mut before).cast::<u64>().write(word);
            before
        };
        let before = attending.map_or(before, |attending| attending.mask);
        if let Some(attending) = attending {
            ATTENDING.set(attending.outer);
            if let Some(record) = Record::current_within() {
                record.cancel.leave_call();
            }
        }
        HANDLING.set(frame.outer);
        hook::set_within(!frame.outer.is_null());
        if hook::on_fiber() {
            // What the handler blocks is blocked for the fiber from now on, unless the jump restores its mask.
            // SAFETY: sets of this function's.
            unsafe {
                let mut in_handler: sigset_t = std::mem::zeroed();
                set_mask(SIG_SETMASK, &before, &mut in_handler);
                masks::block(masks::that_can_be(&in_handler) & !masks::that_can_be(&before));
            }
        }
    }
}
