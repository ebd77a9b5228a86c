//! User code that falls due where no fiber is: wakers of foreign futures, called by a worker's hub, at a fiber's end, or
//! by the poller's thread.
//!
//! A waker may block: it takes a lock that a fiber holds. On the hub that would block the worker, and perhaps the very
//! fiber that is to release the lock; on the poller's thread, all that wait for a descriptor. So it is called in a fiber
//! of its own, which parks like any other. The runtime's own wakers, which do not block, are called on the spot.

#![expect(unsafe_code, reason = "detaches a task that it has just made")]

use std::ptr::NonNull;

use super::current_worker;
use super::shared::Shared;
use crate::cell::{Flags, Header, Task, Woken, allocate, is_calm, wake_task};

/// A wake-up that is delivered when this is dropped: by the fiber that it was made for, whether that runs or is refused
/// because the runtime ends.
struct Errand(NonNull<Task>);

impl Drop for Errand {
    fn drop(&mut self) {
        wake_task(self.0);
    }
}

/// Delivers the wake-up of a claimed task.
#[cold]
pub(super) fn wake(task: NonNull<Task>) {
    match current_worker() {
        Some(worker) if worker.current().is_none() && !is_calm(task) => {
            // Straight into the ready list: it is this worker's.
            worker.make_ready(fiber_for(task, worker.shared()));
        }
        _ => wake_task(task),
    }
}

/// Delivers any wake-up, from the thread of the poller of `shared`.
pub(super) fn wake_from_poller(shared: &Shared, woken: Woken) {
    match woken {
        Woken::Task(task) if !is_calm(task) => shared.inject(fiber_for(task, shared)),
        woken => super::wake(woken),
    }
}

/// A new task whose fiber delivers the wake-up.
fn fiber_for(task: NonNull<Task>, shared: &Shared) -> NonNull<Header> {
    shared.admit_own();
    let errand = Errand(task);
    let fiber = allocate(move || drop(errand), Flags::default(), 0, None, shared.address());
    // SAFETY: it is in no queue yet, so it cannot have ended.
    let is_ours = unsafe { fiber.as_ref() }.join.detach();
    debug_assert!(!is_ours, "a task that has not started has not ended");
    fiber
}
