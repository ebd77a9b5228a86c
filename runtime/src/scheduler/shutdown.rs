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

use std::ptr::NonNull;

use super::cancel::{Cancelling, end_roaming_wait, end_wait};
use super::shared::Shared;
use super::worker::Worker;
use crate::cell::{Cancelled, Header};

/// Step 2 for the fibers of `worker`, from its hub.
pub(super) fn cancel_fibers_of(worker: &Worker) {
    if cfg!(panic = "abort") {
        // They cannot unwind: they end by themselves, or are reported at the deadline.
        return;
    }
    let mut woken = Vec::new();
    let mut note = |cancelling| {
        if let Cancelling::Wake(claim) = cancelling {
            woken.push(claim);
        }
    };
    worker.live.for_each(|fiber| {
        fiber.request_cancellation();
        note(end_wait(fiber));
    });
    worker.shared().roaming.for_each(|fiber| {
        fiber.request_cancellation();
        note(end_roaming_wait(worker, fiber));
    });
    for claim in woken {
        super::wake(claim);
    }
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
