//! How a runtime ends, in steps:
//!
//! 1. The phase becomes `Closing`: spawning is refused from here on, and every worker is woken.
//! 2. Each worker, when it next comes to its hub, cancels the fibers that live on it: a parked one is woken to
//!    unwind from its blocking call, a ready one unwinds from its next. Destructors run. A fiber that may be
//!    unwinding already is left alone (`worker/unwinding.rs`); the step is repeated when that is over.
//! 3. Tasks that have not started are refused: they start only to drop their closures, since a destructor may
//!    block, and their joins return the cancellation.
//! 4. A worker whose fibers have all ended ends its thread.
//! 5. Whoever shuts down waits for the threads up to a deadline, and reports what did not end.

#![expect(unsafe_code, reason = "follows the addresses of waiters on the stacks of parked fibers")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::worker::Worker;
use crate::fiber::Cancelled;
use crate::fiber::{Flags, Header, Outcome, Woken};

/// Step 2 for the fibers of `worker`, from its hub.
pub(super) fn cancel_fibers_of(worker: &Worker) {
    let mut woken = Vec::new();
    worker.live.for_each(|fiber| woken.extend(cancel(worker, fiber)));
    worker.shared().roaming.for_each(|fiber| {
        fiber.request_cancellation();
        let is_home = || std::ptr::eq(fiber.home.load(Ordering::Acquire).cast(), worker);
        // A roaming fiber with a waiter, whose home this is, is parked: it cannot run here while we are in the
        // hub, and others can take it only after we have made it ready, which clears the waiter. The home is
        // read again after the waiter, since before that others may have had it.
        if is_home() && !fiber.waiting().is_null() && is_home() {
            woken.extend(cancel(worker, fiber));
        }
    });
    for claim in woken {
        super::wake(claim);
    }
}

/// Marks a fiber of `worker`, which calls, as cancelled, and ends the wait it may be in.
fn cancel(worker: &Worker, fiber: &Header) -> Option<Woken> {
    fiber.request_cancellation();
    if !fiber.must_unwind() {
        return None;
    }
    if fiber.has(Flags::EXEMPT) && std::thread::panicking() {
        worker.note_exempt();
        return None;
    }
    // SAFETY: the pointer is set exactly while the fiber is inside `block` with a waiter on its stack, and the
    // fiber lives on the calling thread, so it does not move on meanwhile.
    let waiter = unsafe { fiber.waiting().as_ref() }?;
    waiter.claim(Outcome::Cancelled)
}

/// Step 3, at the very end: whatever still lies in a queue is a task.
pub(crate) fn refuse_leftovers(shared: &Shared) {
    let refuse = |task: NonNull<Header>| shared.refuse(task, Box::new(Cancelled::new()));
    while let crossbeam_deque::Steal::Success(task) = shared.injector.steal() {
        refuse(task.0);
    }
    for worker in &shared.workers {
        while let Some(task) = worker.remote.inbox.drain().pop_front() {
            refuse(task);
        }
    }
}
