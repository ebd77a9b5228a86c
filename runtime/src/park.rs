//! Layer 6: park and unpark, the one blocking primitive.
//!
//! Every wait of the runtime (descriptor, timer, lock, channel, join) makes a [`Waiter`] with [`waiter`], puts
//! it where its waker will find it, and calls [`wait`]. The waker claims the waiter and passes the claim to
//! [`wake`]. It works the same from a fiber and from a plain OS thread.

use std::time::Instant;

use crate::fiber::{Outcome, Reason, Waiter, Woken};
use crate::os::futex;

/// A waiter for whoever calls: the current fiber, or this OS thread.
pub(crate) fn waiter() -> Waiter {
    Waiter::new(None)
}

/// Whether the caller runs on a fiber (and parks), or on a plain OS thread (and blocks).
pub(crate) fn on_fiber() -> bool {
    false
}

/// Waits until `waiter` is claimed, or claims it itself when `deadline` passes.
///
/// On `TimedOut` and `Cancelled` the waiter may still be registered with its queue: the caller removes it, under
/// the queue's lock, before it returns or unwinds.
pub(crate) fn wait(waiter: &Waiter, _reason: Reason, deadline: Option<Instant>) -> Outcome {
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        if deadline.is_some_and(|at| Instant::now() >= at) && waiter.claim(Outcome::TimedOut).is_some() {
            return Outcome::TimedOut;
        }
        let (word, value) = waiter.thread_word();
        futex::wait(word, value, deadline);
    }
}

/// Delivers the wake-up that a successful claim owes.
pub(crate) fn wake(woken: Woken) {
    match woken {
        Woken::Thread(word) => futex::wake_one(word),
        Woken::Fiber(_) => unreachable!("no fibers yet"),
    }
}

/// Unwinds the current fiber because it is being cancelled. Call after [`Outcome::Cancelled`], when the
/// waiter is registered nowhere any more.
pub(crate) fn unwind() -> ! {
    std::panic::resume_unwind(Box::new("cancelled"))
}
