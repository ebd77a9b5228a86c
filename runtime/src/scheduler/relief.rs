//! Relief for a worker that stands still: what waits for it and does not need it is handed on.
//!
//! * Its unstarted fibers are stolen by others, one of whom is woken for that (`hub.rs`).
//! * Those that were placed on it and lie in its inbox go to the injector.
//! * The events of its poller are collected. Through it fibers of other workers and runtimes wait for descriptors as well, and async
//!   tasks: whoever blocked on a descriptor first has registered it with its own worker's poller.
//!
//! Its started fibers wait on: only their home can run them. Wake-ups of those end in its inbox, or go back into it.
//!
//! The monitor does this itself. A worker would have to be woken for it.

#![expect(unsafe_code, reason = "follows the addresses of fibers in an inbox")]

use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::waker_fiber;
use super::worker::Worker;
use crate::cell::Flags;

impl Worker {
    /// Whether there may be something to hand on.
    pub(super) fn could_be_relieved(&self) -> bool {
        self.stealable() > 0
            || self.remote.inbox.has_items()
            || self.shared().poller_of(self.index).is_some_and(|poller| poller.has_events())
    }
}

impl Shared {
    /// Hands on what `worker`, which stands still, is not needed for. From the monitor.
    pub(super) fn relieve(&self, worker: &Worker) {
        if worker.stealable() > 0 {
            self.unpark_one();
        }
        if self.workers.len() > 1 && worker.remote.inbox.has_items() {
            self.hand_on_placed(worker);
        }
        if let Some(poller) = self.poller_of(worker.index) {
            poller.collect_from_outside(|wakeup| waker_fiber::wake_from_poller(self, wakeup));
        }
    }

    fn hand_on_placed(&self, worker: &Worker) {
        let arrived = worker.remote.inbox.drain_from_outside();
        let mut found_any = false;
        while let Some(fiber) = arrived.pop_front() {
            found_any = true;
            // SAFETY: the queue has made the fiber ours, or its wake-up, without which it cannot end.
            let header = unsafe { fiber.as_ref() };
            // Its flags are ours if it has not started.
            if header.is_started() || !header.has(Flags::PLACED) {
                self.deliver(worker, fiber);
                continue;
            }
            header.unset_flag(Flags::PLACED);
            // Relaxed: a load figure.
            worker.remote.placed.fetch_sub(1, Ordering::Relaxed);
            self.inject(fiber);
        }
        if found_any {
            // What it may have been notified of besides was forgotten with the items.
            self.unpark(worker);
        }
    }
}
