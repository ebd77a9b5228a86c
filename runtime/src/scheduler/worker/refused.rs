//! A fiber for which there was no stack, and that stands on one that was lent to it to drop its closure.
//! `scheduler/refusals.rs` tells whose that is.

#![expect(unsafe_code, reason = "ends a task instead of running it")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::Worker;
use super::life::{Next, clear, live_in_hook, refuse, this_worker, wind_up};
use crate::cell::{Header, NoStack};

/// The word of the switch to a task that starts only to drop its closure, since there was no stack for it.
pub(super) const REFUSED: usize = 1;

/// All of a fiber for which there was no stack: it drops its closure, and leaves the stack on which it stands to the hub.
#[cold]
#[inline(never)]
pub(super) fn refuse_and_end(fiber: NonNull<Header>) -> Next {
    let worker = this_worker();
    let reason = worker.refusals.take_reason();
    live_in_hook(fiber, || {
        // SAFETY: the caller is this fiber.
        if unsafe { fiber.as_ref() }.must_unwind() {
            refuse(fiber);
        } else {
            // SAFETY: this worker started the fiber just now, and it has not run.
            unsafe { Header::refuse(fiber, NoStack::payload(reason)) };
        }
        wind_up(fiber);
    });
    worker.stop_after_this();
    let next = worker.finish(fiber);
    if !matches!(next, Next::Clear) {
        return next;
    }
    clear(fiber);
    worker.stop_after_this();
    worker.finish_cleared(fiber)
}

impl Worker {
    /// The calling fiber ends next, and no other is to continue with its stack or its turn: the hub looks at everything.
    #[cold]
    fn stop_after_this(&self) {
        // The next pick finds nothing. Relaxed: as for `current`.
        self.picks_left.store(1, Ordering::Relaxed);
    }
}
