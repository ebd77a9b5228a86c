//! How a runtime ends, in steps:
//!
//! 1. The phase becomes `Closing`: spawning fails from here on, and every worker is woken.
//! 2. Each worker, when it next comes to its hub, cancels the fibers that live on it: a parked fiber is woken to
//!    unwind from its blocking call, a ready one unwinds from its next. Destructors run. A fiber that may be
//!    unwinding already is left alone (`worker/unwinding.rs`); the step is repeated when that is over.
//! 3. Unstarted fibers are aborted: they start only to drop their closures, since a destructor may block, and
//!    their joins return the cancellation.
//! 4. A worker whose fibers have all ended ends its thread.
//! 5. The thread that shuts the runtime down waits for the workers' threads up to a deadline, and reports what did not end.
//!
//! A fiber that is a thread to the program is not ended by the drop of a runtime, as no thread is ended by the end of another: step 2 and 3
//! leave it alone, it may start others, and a worker that has only such fibers is *settled*. If all are, step 5 is over: the workers go
//! on with them, until each has ended, or the process. What still waits for such a thread after a moment (`crew.rs`), in a join, would
//! wait as long as that does: then the threads are cancelled as well.

use std::ptr::NonNull;

use super::cancel::{Cancelling, end_roaming_wait, end_wait};
use super::shared::Shared;
use super::worker::Worker;
use crate::cell::{Cancelled, Header};

/// Step 2 for the fibers of `worker`, from its hub.
pub(super) fn cancel_fibers_of(worker: &Worker) {
    if cfg!(panic = "abort") {
        // Fibers cannot unwind: they end by themselves, or are reported at the deadline.
        return;
    }
    let mut wakeups = Vec::new();
    let mut note = |cancelling| {
        if let Cancelling::Wake(wakeup) = cancelling {
            wakeups.push(wakeup);
        }
    };
    let ends_threads = worker.shared().ends_threads();
    worker.live.for_each(|fiber| {
        if ends_threads || !fiber.is_thread() {
            fiber.request_cancellation();
            note(end_wait(fiber));
        }
    });
    worker.shared().roaming.for_each(|fiber| {
        fiber.request_cancellation();
        note(end_roaming_wait(worker, fiber));
    });
    for wakeup in wakeups {
        super::wake(wakeup);
    }
}

/// Step 3, at the very end: every fiber that is still in a queue is unstarted. The workers have ended, so it was queued just then,
/// by a thread that spawned it from outside, or by a worker that gave it to another one that had ended.
///
/// Here its closure is dropped by the thread that shuts the runtime down, and not by a fiber. That is sound: such a closure is
/// `Send`, and one that is not never leaves its worker, which has ended it. A destructor that blocks then blocks the thread, as in
/// the drop of any closure that was refused at its spawn. The shutdown's timeout does not end it: it is about fibers.
pub(crate) fn abort_leftovers(shared: &Shared) {
    let abort_unstarted = |fiber: NonNull<Header>| shared.abort_unstarted(fiber, Box::new(Cancelled::new()));
    while let crossbeam_deque::Steal::Success(fiber) = shared.injector.steal() {
        abort_unstarted(fiber.0);
    }
    for worker in &shared.workers {
        while let Some(fiber) = worker.remote.inbox.drain().pop_front() {
            abort_unstarted(fiber);
        }
    }
}
