//! Woken fibers: how a worker queues them, counts them, and measures for some how long they wait.

#![expect(unsafe_code, reason = "looks at fibers that have been claimed")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::Worker;
use crate::cell::{Flags, Header, LiveList};
use crate::scheduler::counters::{Counters, PERIOD};

impl Worker {
    /// Queues a fiber that this thread has woken. On the worker's own thread.
    #[inline]
    pub(crate) fn make_ready(&self, fiber: NonNull<Header>) {
        if self.remote.counters.woken_here.next().is_multiple_of(PERIOD) {
            // SAFETY: as in `queue`.
            self.sample(unsafe { fiber.as_ref() });
        }
        self.queue(fiber);
    }

    /// Queues a fiber from the inbox.
    #[inline]
    pub(super) fn receive(&self, fiber: NonNull<Header>) {
        // SAFETY: the fiber came out of a queue, which made it ours.
        let header = unsafe { fiber.as_ref() };
        if header.is_started() && self.remote.counters.woken_elsewhere.next().is_multiple_of(PERIOD) {
            self.sample(header);
        }
        self.queue(fiber);
    }

    /// Measures how long it takes until the fiber, which has been woken, runs.
    #[cold]
    fn sample(&self, fiber: &Header) {
        if !fiber.has(Flags::ROAMING)
            && !fiber.is_absent()
            && self.remote.counters.begin_sample(|| self.shared().now_ns())
        {
            fiber.set_flag(Flags::SAMPLED);
        }
    }

    /// Notes that the fiber whose wake-up is measured runs.
    #[cold]
    pub(super) fn end_sample(&self, fiber: &Header) {
        fiber.unset_flag(Flags::SAMPLED);
        self.remote.counters.end_sample(self.shared().now_ns());
    }

    /// What the worker has counted. From any thread.
    pub(crate) fn counters(&self) -> &Counters {
        &self.remote.counters
    }

    /// How often the worker has begun to run a fiber. From any thread.
    pub(crate) fn picks(&self) -> u64 {
        self.remote.counters.picks(self.picks_left.load(Ordering::Relaxed))
    }

    /// The list of the started fibers that live here. Other threads may ask for its counts only.
    pub(crate) fn live(&self) -> &LiveList {
        &self.live
    }

    /// Whether the worker sleeps. From any thread.
    pub(crate) fn is_sleeping(&self) -> bool {
        self.remote.inbox.is_sleeping()
    }
}
