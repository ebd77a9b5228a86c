//! How a plain thread waits: it spins briefly where that pays, then sleeps on a futex.

use std::time::Instant;

use super::cancel::{Until, is_cancelled, wait_in_scopes, with_chain};
use crate::atomic::Backoff;
use crate::cell::{Chain, Outcome, Reason, Waiter};
use crate::os::futex;

/// Not inlined: what it needs would be part of the frame of each fiber that waits.
#[inline(never)]
pub(super) fn wait_on_thread(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    with_chain(|chain| {
        let visible = if chain.is_empty() { None } else { chain.visible() };
        if visible.is_none() {
            sleep_on(waiter, reason, deadline);
            return waiter.outcome().expect("only a claim ends a wait");
        }
        let sleep = |until: Until<'_>| match until.bound {
            Some(at) if !sleep_to_bound(chain, waiter, reason, at, until.own) => until.by_bound.set(true),
            Some(_) | None => sleep_on(waiter, reason, until.own),
        };
        wait_in_scopes(chain, None, waiter, deadline, sleep)
    })
}

/// Blocks the thread until `waiter` is claimed, or claims it when the deadline `at` of a cancel scope has passed. Returns true
/// if the wait is claimed already or must go on to its own deadline, because the thread cannot unwind.
fn sleep_to_bound(
    chain: &Chain,
    waiter: &Waiter,
    reason: Reason,
    mut at: Instant,
    own: Option<Instant>,
) -> bool {
    if is_answered_soon(reason) && spin(waiter) || !waiter.begin_sleep() {
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
    if is_answered_soon(reason) && spin(waiter) || !waiter.begin_sleep() {
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

/// Whether the peer will likely answer soon, so that it pays to spin.
fn is_answered_soon(reason: Reason) -> bool {
    matches!(reason, Reason::ChannelSend | Reason::ChannelReceive | Reason::Select)
}

/// The pauses between looks at the waiter, in spin hints. The thread does not yield its core: on a busy machine that puts it
/// at the end of the run queue, and to sleep and be woken is faster.
const PAUSES: &[u32] = &[1, 2, 4, 8, 16, 32, 64];

/// Spins until a claim comes, for less time than it takes to sleep and be woken. Returns whether a claim came.
fn spin(waiter: &Waiter) -> bool {
    let mut backoff = Backoff::new(PAUSES);
    while waiter.outcome().is_none() && !backoff.is_used_up() {
        backoff.pause();
    }
    waiter.outcome().is_some()
}
