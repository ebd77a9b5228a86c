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
pub(crate) use crate::scheduler::{Cost, is_alone, is_elsewhere, spend, spend_as, wake};

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
        None => wait_on_thread(waiter, reason, deadline),
    }
}

fn wait_on_thread(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    with_chain(|chain| {
        if chain.is_empty() || std::thread::panicking() {
            sleep_on(waiter, reason, deadline);
            return waiter.outcome().expect("only a claim ends a wait");
        }
        let sleep = |until: Until<'_>| match until.bound {
            Some(at) if !sleep_to_bound(chain, waiter, reason, at, until.own) => until.by_bound.set(true),
            Some(_) | None => sleep_on(waiter, reason, until.own),
        };
        scheduler::cancel::wait_bounded(chain, None, waiter, deadline, sleep)
    })
}

/// Blocks the thread until `waiter` is claimed, or claims it when a boundary's time `at` is up. True if the wait goes on
/// to its own end: the thread cannot unwind.
fn sleep_to_bound(
    chain: &Chain,
    waiter: &Waiter,
    reason: Reason,
    mut at: Instant,
    own: Option<Instant>,
) -> bool {
    if is_answered_soon(reason) && watch(waiter) || !waiter.doze() {
        return true;
    }
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
fn sleep_on(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) {
    if is_answered_soon(reason) && watch(waiter) || !waiter.doze() {
        return;
    }
    while waiter.outcome().is_none() {
        if deadline.is_some_and(|at| Instant::now() >= at) && waiter.claim(Outcome::TimedOut).is_some() {
            return;
        }
        let (word, value) = waiter.thread_word();
        futex::wait(word, value, deadline);
    }
}

/// Whether the other side is mostly on its way, so that it pays to stay awake for it.
fn is_answered_soon(reason: Reason) -> bool {
    matches!(reason, Reason::ChannelSend | Reason::ChannelReceive | Reason::Select)
}

/// Between looks at the waiter the thread pauses for twice as many spin hints each time, this often. It does not offer its
/// core: on a busy machine that is to stand at the end of the line, and to sleep and be woken is faster.
const PAUSES: u32 = 7;

/// Waits for a claim awake, for less time than it takes to fall asleep and be woken. Whether it came.
fn watch(waiter: &Waiter) -> bool {
    for look in 0..PAUSES {
        if waiter.outcome().is_some() {
            return true;
        }
        (0..1 << look).for_each(|_| std::hint::spin_loop());
    }
    waiter.outcome().is_some()
}
