//! Where new fibers go: to the worker's backlog, or to the worker with the fewest that were placed.

#![expect(unsafe_code, reason = "hands cells from queue to queue")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use super::{CROWDED, Stealable, Worker};
use crate::cell::{Flags, Header};
use crate::scheduler::hub::WORTH_WAKING;
use crate::scheduler::phase::Phase;

impl Worker {
    /// Queues a fiber that the current one has spawned. Returns whether the backlog is too long for the current fiber to go on.
    #[inline]
    pub(in crate::scheduler) fn push_unstarted(&self, unstarted: NonNull<Header>) -> bool {
        let count = self.backlog.push(Stealable(unstarted));
        self.note_unstarted(count)
    }

    /// [`push_unstarted`](Self::push_unstarted) without memory.
    #[cfg(feature = "own-tls")]
    pub(in crate::scheduler) fn push_without_memory(&self, unstarted: NonNull<Header>) -> bool {
        match self.backlog.push_into_window(Stealable(unstarted)) {
            Ok(count) => self.note_unstarted(count),
            Err(Stealable(unstarted)) => {
                self.place(unstarted);
                true
            }
        }
    }

    /// So many unstarted fibers wait, of which one is new. Whether they are too many for the current fiber to go on.
    #[inline(always)]
    fn note_unstarted(&self, count: usize) -> bool {
        if count > WORTH_WAKING && self.shared().sleepers.has_sleepers() {
            self.shared().unpark_one();
        }
        count >= CROWDED
    }

    /// Gives an unstarted fiber to the worker with the fewest placed fibers, which may be this one.
    #[cold]
    pub(in crate::scheduler) fn place(&self, fiber: NonNull<Header>) {
        let shared = self.shared();
        // While the runtime ends, a worker without fibers has ended, and would never run it.
        let target = if shared.phase() == Phase::Closing { self } else { shared.least_loaded() };
        // SAFETY: an unstarted fiber that is in no queue yet is ours.
        unsafe { fiber.as_ref() }.set_flag(Flags::PLACED);
        // Relaxed: a load figure.
        target.remote.placed.fetch_add(1, Ordering::Relaxed);
        if ptr::eq(target, self) {
            self.queue(fiber);
        } else {
            shared.deliver(target, fiber);
        }
    }
}
