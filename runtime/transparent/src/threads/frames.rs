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

use abaca::hook;
#[cfg(target_arch = "x86_64")]
use libc::{SIG_BLOCK, SIG_SETMASK};
use libc::{siginfo_t, sigset_t, ucontext_t};

#[cfg(target_arch = "x86_64")]
use super::listening;
use super::record::Record;
use super::waiting::Taken;
use super::{faults, masks};
#[cfg(target_arch = "x86_64")]
use crate::calls::kick::set_mask;
use crate::enter::within_handler;

/// A handler of the user's that runs.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "jumps are not hooked"))]
struct Handling {
    outer: *const Handling,
    /// From where the caller runs it; null if it has interrupted the caller.
    attending: *const Attending,
    /// Whether it has interrupted the runtime.
    is_in_runtime: bool,
    /// What the kernel has interrupted.
    context: *const ucontext_t,
}

/// A call that runs handlers for its fiber.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "as above"))]
struct Attending {
    outer: *const Attending,
    /// The signals that the caller has sent itself, and whose handlers have not begun.
    signals: Cell<u64>,
    /// What it knows of these.
    taken: *const [Taken],
    /// The mask of the OS thread.
    mask: sigset_t,
}

thread_local! {
    /// How many handlers have begun here.
    static HANDLED: Cell<u32> = const { Cell::new(0) };
    /// How often a signal has come here for which none has.
    static NOT_HANDLED: Cell<u32> = const { Cell::new(0) };
    static HANDLING: Cell<*const Handling> = const { Cell::new(ptr::null()) };
    static ATTENDING: Cell<*const Attending> = const { Cell::new(ptr::null()) };
}

/// How many handlers have begun on the calling thread. Comparing two answers says whether one has.
pub(super) fn handlers_run() -> u32 {
    HANDLED.get()
}

/// How often a signal has come to the calling thread that was for others, or does nothing. Comparing two answers says whether one has.
pub(super) fn none_run() -> u32 {
    NOT_HANDLED.get()
}

/// Notes such a signal. May be called in a handler.
pub(super) fn note_none() {
    NOT_HANDLED.set(NOT_HANDLED.get().wrapping_add(1));
}

/// Whether the caller is in a handler.
pub(super) fn is_in_handler() -> bool {
    !HANDLING.get().is_null()
}

fn attended() -> Option<&'static Attending> {
    // SAFETY: it is in a frame of the caller's that has not ended.
    unsafe { ATTENDING.get().as_ref() }
}

/// Whether the caller has sent this signal to itself, since others have sent it to the caller.
pub(super) fn attends(signal: usize) -> bool {
    attended().is_some_and(|attending| attending.signals.get() & masks::bit(signal) != 0)
}

/// The caller has begun the handler of a signal that it has sent to itself once: the next is another.
pub(super) fn has_attended(signal: usize) {
    if let Some(attending) = attended() {
        attending.signals.set(attending.signals.get() & !masks::bit(signal));
    }
}

/// What the caller knows of a signal that it attends to.
pub(super) fn known_of(signal: usize) -> Option<siginfo_t> {
    // SAFETY: its owner waits for the handlers in `attending`.
    let taken = unsafe { &*attended()?.taken };
    taken.iter().find(|(other, _)| *other == signal)?.1
}

/// Calls `run`, which runs the handlers of what was taken here. `mask` is that of the OS thread.
pub(super) fn attending(taken: &[Taken], mask: sigset_t, run: impl FnOnce()) {
    let signals = taken.iter().fold(0, |bits, (signal, _)| bits | masks::bit(*signal));
    let frame = Attending { outer: ATTENDING.get(), signals: Cell::new(signals), taken, mask };
    ATTENDING.set(&raw const frame);
    run();
    ATTENDING.set(frame.outer);
}

/// Notes for those who send to the calling thread that it begins a handler, or ends one.
fn note_handlers(begins: bool) {
    if let Some(record) = Record::current() {
        record.pending.note_handlers(begins);
    }
}

/// Calls a handler of the user's. In it the hooks are libc's own functions, wherever it has interrupted the caller.
pub(super) fn handling(is_attending: bool, context: *const c_void, handler: impl FnOnce()) {
    let outer = HANDLING.get();
    // In a handler, also in one of a fault, the hooks are libc's own functions: one that was interrupted is not the runtime's.
    let is_outermost = !is_attending && outer.is_null() && !faults::is_in_handler();
    let frame = Handling {
        outer,
        attending: if is_attending { ATTENDING.get() } else { ptr::null() },
        is_in_runtime: is_outermost && hook::has_interrupted_runtime(),
        context: context.cast(),
    };
    note_handlers(true);
    HANDLING.set(&raw const frame);
    HANDLED.set(HANDLED.get().wrapping_add(1));
    within_handler(handler);
    HANDLING.set(frame.outer);
    note_handlers(false);
}

/// The caller is about to jump to frames whose stack pointer is `target`: it leaves the handlers whose frames are further in. What these block
/// is blocked for the fiber from now on, unless the jump restores its mask: this returns it.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(super) fn leave(target: usize) -> u64 {
    let mut newly_blocked = 0;
    let here = 0_u8;
    let mut end = (&raw const here).addr();
    let was_in_handler = is_in_handler();
    // SAFETY: frames of the caller's that have not ended.
    while let Some(frame) = unsafe { HANDLING.get().as_ref() } {
        // A handler that has a stack of its own has its frames there as well.
        if (end..ptr::from_ref(frame).addr()).contains(&target) {
            break;
        }
        if frame.is_in_runtime {
            eprintln!(
                "abaca-transparent: a handler of a signal jumps out of a call in which it has interrupted the runtime"
            );
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
        // SAFETY: as above.
        let attending = unsafe { frame.attending.as_ref() };
        let before = attending.map_or(before, |attending| attending.mask);
        if let Some(attending) = attending {
            ATTENDING.set(attending.outer);
            // The call in which the handler ran is over.
            masks::await_nothing();
            if let Some(record) = Record::current() {
                record.leave_call();
            }
        }
        HANDLING.set(frame.outer);
        note_handlers(false);
        hook::set_within(!frame.outer.is_null() || faults::has_frame(target));
        if hook::on_fiber() {
            // SAFETY: sets of this function's.
            unsafe {
                let mut in_handler: sigset_t = std::mem::zeroed();
                set_mask(SIG_BLOCK, ptr::null(), &mut in_handler);
                newly_blocked |= masks::block(masks::that_can_be(&in_handler) & !masks::that_can_be(&before));
                set_mask(SIG_SETMASK, &before, ptr::null_mut());
            }
        }
    }
    if was_in_handler {
        // The last handler that was left has interrupted a frame there.
        listening::leave(end..target);
    }
    if HANDLING.get().is_null() {
        faults::leave(target);
    }
    newly_blocked
}
