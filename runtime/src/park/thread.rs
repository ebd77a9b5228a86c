//! How a plain thread waits: awake for a moment where that pays, then on a futex.

use std::time::Instant;

use super::cancel::{Until, is_cancelled, wait_bounded, with_chain};
use crate::atomic::Backoff;
use crate::cell::{Chain, Outcome, Reason, Waiter};
use crate::os::futex;

pub(super) fn wait_on_thread(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    with_chain(|chain| {
        if chain.is_empty() || std::thread::panicking() {
            sleep_on(waiter, reason, deadline);
            return waiter.outcome().expect("only a claim ends a wait");
        }
        let sleep = |until: Until<'_>| match until.bound {
            Some(at) if !sleep_to_bound(chain, waiter, reason, at, until.own) => until.by_bound.set(true),
            Some(_) | None => sleep_on(waiter, reason, until.own),
        };
        wait_bounded(chain, None, waiter, deadline, sleep)
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

/// Between looks at the waiter the thread pauses for twice as many spin hints each time. It does not offer its
/// core: on a busy machine that is to stand at the end of the line, and to sleep and be woken is faster.
const PAUSES: &[u32] = &[1, 2, 4, 8, 16, 32, 64];

/// Waits for a claim awake, for less time than it takes to fall asleep and be woken. Whether it came.
fn watch(waiter: &Waiter) -> bool {
    let mut backoff = Backoff::new(PAUSES);
    while waiter.outcome().is_none() && !backoff.is_used_up() {
        backoff.pause();
    }
    waiter.outcome().is_some()
}
