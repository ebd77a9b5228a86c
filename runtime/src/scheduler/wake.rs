//! The delivery of wake-ups, to fibers, threads and tasks.

#![expect(unsafe_code, reason = "follows the addresses of fibers that have been claimed, and of their homes")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use super::{Shared, Worker, current_worker, errand};
use crate::cell::{Header, Woken};
use crate::os::futex;

/// Delivers the wake-up that a successful claim owes.
#[inline]
pub(crate) fn wake(woken: Woken) {
    match woken {
        Woken::Fiber(fiber) => wake_fiber(fiber),
        Woken::Thread(word) => futex::wake_one(word),
        Woken::Awake => {}
        Woken::Task(task) => errand::wake(task),
    }
}

#[inline]
fn wake_fiber(fiber: NonNull<Header>) {
    // SAFETY: the claim gave us this one wake-up, without which the fiber cannot end. Relaxed: the fiber
    // registered the waiter that led here after its home was written.
    let home = unsafe { fiber.as_ref() }.home.load(Ordering::Relaxed).cast::<Worker>();
    match current_worker() {
        Some(worker) if ptr::eq(worker, home) => worker.make_ready(fiber),
        other => wake_elsewhere(other, home, fiber),
    }
}

/// Whether that wake-up goes to another thread than the caller's.
#[inline]
pub(crate) fn is_elsewhere(woken: &Woken) -> bool {
    let Woken::Fiber(fiber) = woken else { return true };
    // SAFETY: as in `wake_fiber`: the caller has the wake-up and has not delivered it yet.
    let home = unsafe { fiber.as_ref() }.home.load(Ordering::Relaxed).cast_const().cast();
    home != current_worker().map_or(ptr::null(), ptr::from_ref)
}

/// Whether nobody else could run in the caller's place: it is a plain thread, or the only fiber of its worker
/// that is ready.
pub(crate) fn is_alone() -> bool {
    current_worker().is_none_or(|worker| worker.ready.is_empty() && !worker.remote.inbox.has_mail())
}

#[cold]
#[inline(never)]
fn wake_elsewhere(worker: Option<&Worker>, home: *const Worker, fiber: NonNull<Header>) {
    // SAFETY: the home outlives its fibers, and this one cannot end before it is woken.
    let home = unsafe { &*home };
    // SAFETY: as above, for the runtime; once the fiber is delivered the visit keeps it. A worker of the same
    // runtime needs none: its own thread keeps the runtime.
    let shared: &Shared = unsafe { &*ptr::from_ref(home.shared()) };
    let is_ours = worker.is_some_and(|worker| ptr::eq(worker.shared(), shared));
    let _visit = (!is_ours).then(|| shared.enter());
    shared.deliver(home, fiber);
}
