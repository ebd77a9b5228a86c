//! How the monitor examines a worker that makes no progress, without disturbing it: whether anything waits for the worker,
//! which fiber it runs, and what that fiber does.
//!
//! No other thread may read the worker's own structures. The kernel copies them (`os/peek.rs`), and the worker's position
//! tells whether it moved meanwhile. If it did, nothing that was read counts.
//!
//! Rejected: a signal to the worker. A thread that waits in poll(2) or usleep(3), in a library that knows nothing of us, then
//! gets EINTR, and few libraries go on.

use std::ptr;
use std::time::Duration;

use super::stall::Stall;
use super::worker::Worker;
use crate::cell::FiberSnapshot;
use crate::os::thread_state;
use crate::queue::ReadyList;
use crate::timer::Wheel;

impl Worker {
    /// The stall of this worker, if anything waits for it.
    pub(super) fn examine(&self) -> Option<Stall> {
        let position = self.position();
        let fiber = position.fiber()?;
        if !self.is_waited_for() {
            return None;
        }
        let stall = Stall {
            worker: self.index,
            elapsed: Duration::ZERO,
            fiber: FiberSnapshot::of(fiber.as_ptr()),
            state: thread_state::of(self.thread_id()),
            exhausted_threads: self.shared().exhausted_spares(),
            #[cfg(feature = "backtrace")]
            trace_target: super::stall::TraceTarget {
                thread_id: self.thread_id(),
                fiber: fiber.as_ptr().addr(),
            },
            #[cfg(feature = "backtrace")]
            backtrace: None,
        };
        (self.position() == position).then_some(stall)
    }

    /// Whether something would go on if this worker came to its hub.
    pub(super) fn is_waited_for(&self) -> bool {
        let shared = self.shared();
        if self.remote.inbox.has_items()
            || self.stealable() > 0
            || !shared.injector.is_empty()
            || !self.remote.requests.is_empty()
            || self.has_returned()
        {
            return true;
        }
        let has_ready = ReadyList::peek_is_empty(ptr::from_ref(&self.ready)).map(|is_empty| !is_empty);
        if has_ready == Some(true) {
            return true;
        }
        if !self.has_company() {
            return false;
        }
        let is_due = || self.peek_first_timer().is_some_and(|at| at <= shared.now_ns());
        let has_events = || shared.poller_of(self.index).is_some_and(|poller| poller.has_events());
        // Where the kernel does not let us look, we know at least that there are other fibers.
        has_ready.is_none() || is_due() || has_events()
    }

    /// Whether there are other fibers that could wait for this worker, which runs one.
    pub(super) fn has_company(&self) -> bool {
        // The count does not change while the worker makes no progress.
        self.live.len() + self.shared().roaming.len() >= 2
    }

    /// When the first of the worker's timers is due. If the worker uses its wheel meanwhile, any time.
    pub(super) fn peek_first_timer(&self) -> Option<u64> {
        Wheel::peek_first(ptr::from_ref(&self.wheel))
    }
}
