//! Quiet: the monitor sleeps although a worker is awake, as long as that one stands still and nobody waits for it.
//!
//! Then nothing changes by itself but time and the poller: the monitor sleeps until the worker's next timer, or until its epoll instance has an
//! event. All else is done by a thread that runs:
//!
//! | who begins to wait | who sees to it that the monitor looks |
//! |---|---|
//! | what the worker's own fiber spawns, wakes or leaves behind | that thread, when it enters: its presence is watched |
//! | what others push, to the worker or for any worker | they look at this flag, after the push |
//!
//! Each of them acts, has a light fence, and looks; the monitor shows that it watches, has a heavy fence, and looks whether any has
//! acted. One of the fences comes first.

use crate::atomic::{AtomicBool, Ordering};
use crate::os::barrier;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::scheduler) struct Quiet(AtomicBool);

impl Quiet {
    pub(in crate::scheduler) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// From the monitor, before the fence.
    pub(super) fn begin(&self) {
        // Relaxed: the fence that follows orders it.
        self.0.store(true, Ordering::Relaxed);
    }

    /// From the monitor, which is awake again.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Calls `unpark` if the monitor must look at what the caller has just pushed.
    #[inline(always)]
    pub(in crate::scheduler) fn after_push(&self, unpark: impl FnOnce()) {
        barrier::light();
        // Relaxed: the fence orders it after the push.
        if self.0.load(Ordering::Relaxed) {
            unpark();
        }
    }
}
