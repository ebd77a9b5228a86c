//! What the monitor finds out about a worker that stands still, without disturbing it: whether anybody waits for it, which
//! fiber it runs, and what that does.
//!
//! The worker's own structures are no other thread's to read. The kernel copies them (`os/peek.rs`), and the worker's
//! position tells whether it moved meanwhile: if so, nothing that was seen counts.
//!
//! Rejected: to ask the worker by a signal. A thread that waits in poll(2) or usleep(3), in a library that knows nothing of
//! us, is then told that it was interrupted, and few libraries go on.

use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::stall::Stall;
use super::worker::Worker;
use crate::cell::Glimpse;
use crate::os::task;
use crate::queue::ReadyList;
use crate::timer::Wheel;

impl Worker {
    /// What it stands still with, if somebody waits for it.
    pub(super) fn examine(&self) -> Option<Stall> {
        let position = self.position();
        let fiber = position.fiber()?;
        if !self.is_waited_for() {
            return None;
        }
        let stall = Stall {
            worker: self.index,
            elapsed: Duration::ZERO,
            fiber: Glimpse::of(fiber.as_ptr()),
            doing: task::doing(self.thread_id()),
            #[cfg(feature = "backtrace")]
            whom: super::stall::Whom { thread_id: self.thread_id(), fiber: fiber.as_ptr().addr() },
            #[cfg(feature = "backtrace")]
            backtrace: None,
        };
        (self.position() == position).then_some(stall)
    }

    /// Whether something would go on if this worker came to its hub.
    fn is_waited_for(&self) -> bool {
        let shared = self.shared();
        if self.remote.inbox.has_mail()
            || self.stealable() > 0
            || !shared.injector.is_empty()
            || !self.remote.cancellations.is_empty()
        {
            return true;
        }
        let has_ready = ReadyList::peek_is_empty(ptr::from_ref(&self.ready)).map(|is_empty| !is_empty);
        if has_ready == Some(true) {
            return true;
        }
        // Relaxed: a count that nobody changes while the worker stands still.
        let others = self.remote.fibers.load(Ordering::Relaxed) + shared.roaming.len();
        if others < 2 {
            return false;
        }
        let is_due = || Wheel::peek_first(ptr::from_ref(&self.wheel)).is_some_and(|at| at <= shared.now_ns());
        let has_events = || shared.poller_of(self.index).is_some_and(|poller| poller.has_events());
        // Where the kernel does not let us look, there are others, at least.
        has_ready.is_none() || is_due() || has_events()
    }
}
