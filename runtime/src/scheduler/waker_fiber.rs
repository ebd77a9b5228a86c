//! A fiber that calls a foreign waker, for a wake-up that falls due outside of any fiber: in a worker's hub, at a fiber's end,
//! or on the poller's thread.
//!
//! A foreign waker may block, for example on a lock that a fiber holds. In the hub that would block the worker, and perhaps
//! the very fiber that must release the lock; on the poller's thread, all that wait for a descriptor. So the waker is called
//! in a fiber of its own, which parks like any other. The runtime's own wakers do not block and are called directly.

#![expect(unsafe_code, reason = "detaches a fiber that it has just made")]

use std::ptr::NonNull;

use super::here::{fiber_on, present};
use super::shared::Shared;
use crate::cell::{Flags, Header, Supply, Task, Wakeup, allocate, has_own_waker, wake_task};

/// Wakes the task when it is dropped: by the fiber made for it, which drops it when it runs, and also when it is aborted
/// because the runtime ends.
struct WakeOnDrop(NonNull<Task>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        wake_task(self.0);
    }
}

/// Delivers the wake-up to a claimed task.
#[cold]
pub(super) fn wake(task: NonNull<Task>) {
    match present() {
        Some(worker) if fiber_on(&worker).is_none() && !has_own_waker(task) => {
            // Straight into the ready list: it is this worker's.
            worker.remote.counters.spawned.add(1);
            worker.queue(waker_fiber(task, worker.shared()));
        }
        worker => {
            // The waker is foreign code.
            if let Some(worker) = worker {
                worker.leave();
            }
            wake_task(task);
        }
    }
}

/// Delivers any wake-up, from the thread of the poller of `shared`.
pub(super) fn wake_from_poller(shared: &Shared, wakeup: Wakeup) {
    match wakeup {
        Wakeup::Future(task) if !has_own_waker(task) => shared.inject(waker_fiber(task, shared)),
        wakeup => super::wake(wakeup),
    }
}

/// A new fiber that delivers the wake-up.
fn waker_fiber(task: NonNull<Task>, shared: &Shared) -> NonNull<Header> {
    shared.admit_own();
    let wake_on_drop = WakeOnDrop(task);
    let supply = Supply::Depot(&shared.cells);
    let fiber = allocate(move || drop(wake_on_drop), Flags::default(), 0, None, shared.address(), supply);
    // SAFETY: the fiber is in no queue yet, so it cannot have ended.
    let is_ours = unsafe { fiber.as_ref() }.join.detach();
    debug_assert!(!is_ours, "a fiber that has not started has not ended");
    fiber
}
