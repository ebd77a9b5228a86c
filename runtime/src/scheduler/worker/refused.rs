//! A fiber for which there was no stack. It runs on a borrowed one, only to drop its closure; `scheduler/refusals.rs` tells on
//! which.

#![expect(unsafe_code, reason = "ends an unstarted fiber instead of running it")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::Worker;
use super::hooked::run_in_hook;
use super::life::{abort_unstarted, clear, home, wind_up};
use super::next::Next;
use crate::cell::{Header, NoStack};
use crate::scheduler::here;

/// The word of the switch to a fiber that starts only to drop its closure, since there was no stack for it.
pub(super) const REFUSED: usize = 1;

/// Runs a fiber for which there was no stack to its end: it drops its closure, and leaves its borrowed stack to the hub.
#[cold]
#[inline(never)]
pub(super) fn refuse_and_end(fiber: NonNull<Header>) -> Next {
    // Nobody is here before a fiber with storage of its own begins. Its home is the worker of this thread.
    // SAFETY: the cell is alive until `finish`, and a home outlives its fibers.
    let worker: &Worker = unsafe { &*fiber.as_ref().home.load(Ordering::Relaxed).cast() };
    let reason = worker.refusals.take_reason();
    here::begin(fiber);
    run_in_hook(fiber, || {
        // SAFETY: the caller is this fiber.
        if unsafe { fiber.as_ref() }.must_unwind() {
            abort_unstarted(fiber);
        } else {
            // SAFETY: this worker started the fiber just now, and it has not run.
            unsafe { Header::abort_unstarted(fiber, NoStack::payload(reason)) };
        }
        wind_up(fiber);
    });
    here::end_storage();
    let worker = home();
    worker.stop_after_this();
    let next = worker.finish(fiber);
    if !matches!(next, Next::Clear) {
        return next;
    }
    here::begin(fiber);
    clear(fiber);
    here::end_storage();
    let worker = home();
    worker.stop_after_this();
    worker.finish_cleared(fiber)
}

impl Worker {
    /// Makes the hub look at everything when the calling fiber ends, so that no other fiber continues on its stack.
    #[cold]
    fn stop_after_this(&self) {
        // The next pick finds nothing. Relaxed: as for `current`.
        self.picks_left.store(1, Ordering::Relaxed);
    }
}
