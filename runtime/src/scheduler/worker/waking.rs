//! Fibers that have been woken: how a worker queues them, counts them, and measures for some how long they wait.

#![expect(unsafe_code, reason = "looks at fibers that have been claimed")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use super::{Stealable, Worker};
use crate::cell::{Flags, Header, LiveList, Wakeup};
use crate::scheduler::counters::{Counters, PERIOD};
use crate::scheduler::event::Cause;
use crate::scheduler::recording::WorkerRecorder;
use crate::scheduler::wake;

impl Worker {
    /// Queues a fiber that this thread has woken. On the worker's own thread.
    #[inline]
    pub(crate) fn make_ready(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `queue`.
        self.count_woken(unsafe { fiber.as_ref() });
        self.queue(fiber);
    }

    /// Counts a wake-up by this thread, and measures it if it is its turn.
    #[inline(always)]
    fn count_woken(&self, fiber: &Header) {
        if self.remote.counters.woken_here.next().is_multiple_of(PERIOD) {
            self.sample(fiber);
        }
    }

    /// Delivers a wake-up by the poller, in this worker's hub: most are of fibers that live here.
    #[inline(always)]
    pub(in crate::scheduler) fn wake_polled(&self, wakeup: Wakeup) {
        if let Wakeup::Fiber(fiber) = wakeup {
            // SAFETY: the claim gave us this one wake-up, without which the fiber cannot end.
            let header = unsafe { fiber.as_ref() };
            // Relaxed: as in `wake`. That a fiber was woken which waited for a descriptor has no event.
            if ptr::eq(header.home.load(Ordering::Relaxed).cast(), self)
                // Nor has any other in a log of turns.
                && (!header.has(Flags::ROAMING_OR_RECORDED)
                    || header.wait().0.is_of_descriptor() && !header.has(Flags::ROAMING))
            {
                self.count_woken(header);
                if !self.notes_wakeup_of_absent(header) {
                    // SAFETY: as in `queue`.
                    unsafe { self.ready.push_back(fiber) };
                }
                return;
            }
        }
        self.wake_for(Cause::Poller, || wake(wakeup));
    }

    /// Queues the inbox's fibers on this worker, between the turns of two fibers. Returns false if the inbox was empty.
    #[inline]
    pub(in crate::scheduler) fn drain_inbox(&self) -> bool {
        self.drain_inbox_in(false)
    }

    /// [`drain_inbox`](Self::drain_inbox), within a fiber's turn or not.
    #[inline]
    pub(super) fn drain_inbox_in(&self, is_in_turn: bool) -> bool {
        if !self.remote.inbox.has_items() {
            return false;
        }
        let arrived = self.remote.inbox.drain();
        self.log_inbox(is_in_turn);
        self.wake_for(Cause::Elsewhere, || {
            while let Some(fiber) = arrived.pop_front() {
                self.receive(fiber);
            }
        });
        true
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

    /// [`queue`](Self::queue) for a fiber that roams, or whose wake-up is noted. Not inlined: without a recorder it would be in the way.
    #[inline(never)]
    pub(super) fn queue_and_note(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `queue`.
        let header = unsafe { fiber.as_ref() };
        if header.has(Flags::ROAMING_OR_RECORDED) {
            return self.queue_slow(fiber);
        }
        self.log_wake(header);
        // SAFETY: as in `queue`.
        unsafe { self.ready.push_back(fiber) };
    }

    #[inline(never)]
    fn queue_slow(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `queue`.
        let header = unsafe { fiber.as_ref() };
        if header.has(Flags::RECORDED) {
            self.record_wake(header);
        }
        self.log_wake_slow(header);
        if header.has(Flags::ROAMING) && header.is_started() && !header.has(Flags::PINNED) {
            return self.queue_roaming(fiber);
        }
        // SAFETY: as in `queue`.
        unsafe { self.ready.push_back(fiber) };
    }

    #[inline(never)]
    fn queue_roaming(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `queue`.
        let header = unsafe { fiber.as_ref() };
        self.take_timer_of(header);
        // From here on other workers may run the fiber, so a canceller must not touch its waiter any more.
        header.end_waiting();
        self.backlog.push(Stealable(fiber));
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

    /// Notes that the calling fiber has picked itself: it goes on without a switch.
    #[inline(always)]
    pub(super) fn note_own_pick(&self, me: &Header) {
        if me.has(Flags::SAMPLED) {
            self.end_sample(me);
        }
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

    /// The worker's part of the recorder. Other threads may copy the ring.
    #[inline(always)]
    pub(crate) fn recorder(&self) -> Option<&WorkerRecorder> {
        self.recorder.get().map(|recorder| &**recorder)
    }

    /// Gives the worker its part of the recorder. Before its thread starts.
    pub(in crate::scheduler) fn set_recorder(&self, recorder: Box<WorkerRecorder>) {
        let is_first = self.recorder.set(recorder).is_ok();
        debug_assert!(is_first, "a worker has one recorder");
    }

    /// Whether a hook runs around the park of this fiber, which has a waiter, but is not suspended. On the worker's own thread.
    pub(in crate::scheduler) fn is_in_hook(&self, fiber: &Header) -> bool {
        ptr::eq(self.in_hook.get(), fiber)
    }

    /// Whether there is something in its inbox. From any thread.
    pub(crate) fn has_items(&self) -> bool {
        self.remote.inbox.has_items()
    }

    /// Whether the worker sleeps. From any thread.
    pub(crate) fn is_sleeping(&self) -> bool {
        self.remote.inbox.is_sleeping()
    }
}
