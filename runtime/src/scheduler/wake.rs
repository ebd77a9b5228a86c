//! The delivery of wake-ups to fibers, threads and async tasks.

#![expect(unsafe_code, reason = "follows the addresses of fibers that have been claimed, and of their homes")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use super::here::present;
use super::{Shared, Worker, waker_fiber};
use crate::cell::{Header, Wakeup};
use crate::os::futex;

/// Delivers the wake-up that a successful claim owes.
#[inline]
pub(crate) fn wake(wakeup: Wakeup) {
    match wakeup {
        Wakeup::Fiber(fiber) => _ = wake_fiber(fiber),
        Wakeup::Thread(word) => futex::wake_one(word),
        Wakeup::Awake => {}
        Wakeup::Future(task) => waker_fiber::wake(task),
    }
}

/// [`wake`]s, and returns whether the wake-up has gone to another thread than the caller's.
#[inline]
pub(crate) fn wake_and_tell(wakeup: Wakeup) -> bool {
    if let Wakeup::Fiber(fiber) = wakeup {
        return wake_fiber(fiber);
    }
    wake(wakeup);
    true
}

/// Returns whether the fiber is another thread's.
#[inline]
fn wake_fiber(fiber: NonNull<Header>) -> bool {
    // SAFETY: the claim gave us this one wake-up, without which the fiber cannot end. Relaxed: the fiber
    // registered the waiter that led here after its home was written.
    let home = unsafe { fiber.as_ref() }.home.load(Ordering::Relaxed).cast::<Worker>();
    match present() {
        Some(worker) if ptr::eq(&raw const *worker, home) => {
            worker.make_ready(fiber);
            false
        }
        other => {
            wake_elsewhere(other.as_deref(), home, fiber);
            true
        }
    }
}

/// Whether no other fiber could run in the caller's place: the caller is a plain thread, or the only ready fiber of its
/// worker.
pub(crate) fn is_alone() -> bool {
    present().is_none_or(|worker| worker.ready.is_empty() && !worker.remote.inbox.has_items())
}

#[cold]
#[inline(never)]
fn wake_elsewhere(worker: Option<&Worker>, home: *const Worker, fiber: NonNull<Header>) {
    // SAFETY: the home outlives its fibers, and this one cannot end before it is woken.
    let home = unsafe { &*home };
    // SAFETY: as above, for the runtime; once the fiber is delivered the guard keeps the runtime alive. A worker of the same
    // runtime needs no guard: its own thread keeps the runtime.
    let shared: &Shared = unsafe { &*ptr::from_ref(home.shared()) };
    let is_ours = worker.is_some_and(|worker| ptr::eq(worker.shared(), shared));
    if let Some(worker) = worker {
        // SAFETY: the caller has the fiber's one wake-up, without which it cannot end.
        worker.record_send(unsafe { fiber.as_ref() });
    }
    let _guard = (!is_ours).then(|| shared.guard());
    shared.deliver(home, fiber);
}
