//! Layer 6: park and unpark, the one blocking primitive.
//!
//! Every wait of the runtime (descriptor, timer, lock, channel, join) makes a [`Waiter`] with [`waiter`], puts
//! it where its waker will find it, and calls [`wait`]. The waker claims the waiter and passes the claim to
//! [`wake`]. It works the same from a fiber and from a plain OS thread.

use std::time::Instant;

use crate::fiber::{Chain, Outcome, Reason, Waiter};
use crate::os::futex;
use crate::scheduler;
use crate::scheduler::cancel::Until;

pub(crate) use crate::scheduler::cancel::{
    Cancellation, acknowledge, cancel, is_cancelled, is_obeyed, require_unwinding, tell, unwind,
    unwinds_cancelled, with_chain,
};
pub(crate) use crate::scheduler::{is_alone, is_elsewhere, wake};

/// A waiter for whoever calls: the current fiber, or this OS thread.
#[inline]
pub(crate) fn waiter() -> Waiter {
    Waiter::new(scheduler::current_fiber())
}

/// Whether the caller runs on a fiber (and parks), or on a plain OS thread (and blocks).
pub(crate) fn on_fiber() -> bool {
    scheduler::current_fiber().is_some()
}

/// Waits until `waiter` is claimed, or claims it itself when `deadline` passes.
///
/// On `TimedOut` and `Cancelled` the waiter may still be registered with its queue: the caller removes it, under
/// the queue's lock, before it returns or unwinds.
#[inline]
pub(crate) fn wait(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    match waiter.fiber() {
        Some(me) => scheduler::block(me, waiter, reason, deadline),
        None => wait_on_thread(waiter, deadline),
    }
}

fn wait_on_thread(waiter: &Waiter, deadline: Option<Instant>) -> Outcome {
    with_chain(|chain| {
        if chain.is_empty() || std::thread::panicking() {
            sleep_on(waiter, deadline);
            return waiter.outcome().expect("only a claim ends a wait");
        }
        let sleep = |until: Until<'_>| match until.bound {
            Some(at) if !sleep_to_bound(chain, waiter, at, until.own) => until.by_bound.set(true),
            Some(_) | None => sleep_on(waiter, until.own),
        };
        scheduler::cancel::wait_bounded(chain, None, waiter, deadline, sleep)
    })
}

/// Blocks the thread until `waiter` is claimed, or claims it when a boundary's time `at` is up. True if the wait goes on
/// to its own end: the thread cannot unwind.
fn sleep_to_bound(chain: &Chain, waiter: &Waiter, mut at: Instant, own: Option<Instant>) -> bool {
    while waiter.outcome().is_none() && own.is_none_or(|own| at <= own) {
        if Instant::now() >= at {
            chain.expire(at);
            if is_cancelled() {
                return waiter.claim(Outcome::TimedOut).is_none();
            }
            let Some(next) = chain.nearest_after(at) else { return true };
            at = next;
            continue;
        }
        let (word, value) = waiter.thread_word();
        futex::wait(word, value, Some(at));
    }
    true
}

/// Blocks the thread until `waiter` is claimed, or claims it when `deadline` passes.
fn sleep_on(waiter: &Waiter, deadline: Option<Instant>) {
    while waiter.outcome().is_none() {
        if deadline.is_some_and(|at| Instant::now() >= at) && waiter.claim(Outcome::TimedOut).is_some() {
            return;
        }
        let (word, value) = waiter.thread_word();
        futex::wait(word, value, deadline);
    }
}
