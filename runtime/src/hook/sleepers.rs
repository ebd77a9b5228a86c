//! The process's table of sleepers by address. `park/by_address.rs` tells how it works.

#![expect(unsafe_code, reason = "a copy of the process forgets the sleepers")]

use std::time::Instant;

use super::interrupt::{handle, wait_or_leave};
use super::{Slept, fairness, wait_without_unwinding};
use crate::cell::{Outcome, Waiter};
use crate::park;
use crate::park::by_address::Table;
use crate::park::key::{Found, Key};
use crate::park::turn::Turn;

pub(super) static TABLE: Table = Table::new();

/// Forgets all sleepers.
///
/// # Safety
///
/// As of `Table::begin_anew`.
pub(super) unsafe fn begin_anew() {
    // SAFETY: the caller's promise.
    unsafe { TABLE.begin_anew() };
}

/// [`Turn::pass`], of a turn whose sleepers are in this table. `None` if the caller was cancelled before.
pub(super) fn in_turn_of<R>(turn: &Turn, f: impl FnOnce() -> R) -> Option<R> {
    turn.pass(&TABLE, wait_without_unwinding, f)
}

/// A sleep at an address.
#[derive(Clone, Copy, Debug)]
pub struct Sleep {
    /// The word's address, which is only compared.
    pub address: usize,
    /// Who wakes must have one of these bits.
    pub bits: u32,
    /// `None` is for ever.
    pub deadline: Option<Instant>,
    /// Whether a cancellation ends the sleep. A caller that would only look at its word and sleep again must not be ended.
    pub is_cancellable: bool,
    /// Whether the caller is [overtaken](super::Overtaken): who wakes it by [`wake_fairly`](super::wake_fairly) waits until it has gone on.
    pub is_overtaken: bool,
}

/// What is to be done when a sleep is over.
#[inline(always)]
fn after(sleep: Sleep, outcome: Option<Outcome>) {
    if sleep.is_overtaken && outcome.is_some() {
        fairness::go_on(sleep.address);
    }
}

/// Sleeps until [`wake_at`] is called for the address, if `stay` says so once all who wake can see the caller. Calls `then` when the
/// caller can be woken: for a lock that it holds so far.
///
/// `stay` runs under a lock: it only looks at memory.
#[inline]
pub fn sleep_at(sleep: Sleep, stay: impl FnOnce() -> bool, then: impl FnOnce()) -> Slept {
    let Sleep { address, bits, deadline, is_cancellable, is_overtaken } = sleep;
    let wait = |waiter: &Waiter, reason, deadline| {
        if is_cancellable {
            wait_without_unwinding(waiter, reason, deadline)
        } else {
            park::wait_shielded(waiter, reason, deadline)
        }
    };
    let outcome = TABLE.sleep(Key { address, bits, is_overtaken }, deadline, stay, then, wait);
    after(sleep, outcome);
    outcome.map_or(Slept::Not, Slept::from)
}

/// [`sleep_at`], of a call that no handler ends. What is sent to the caller ends the sleep: its handlers have run then, and the caller is to sleep
/// again.
#[inline]
pub fn sleep_or_handle_at(sleep: Sleep, stay: impl FnOnce() -> bool, then: impl FnOnce()) -> Slept {
    let Sleep { address, bits, deadline, is_cancellable, is_overtaken } = sleep;
    let mut was_sent = false;
    let wait = |waiter: &Waiter, reason, deadline| {
        let wait = || {
            if is_cancellable {
                wait_without_unwinding(waiter, reason, deadline)
            } else {
                park::wait_shielded(waiter, reason, deadline)
            }
        };
        let (outcome, is_sent) = wait_or_leave(waiter, wait);
        was_sent = is_sent;
        outcome
    };
    let outcome = TABLE.sleep(Key { address, bits, is_overtaken }, deadline, stay, then, wait);
    after(sleep, outcome);
    let handled = was_sent.then(handle);
    match (outcome, handled) {
        (Some(Outcome::Cancelled), Some(handled)) => handled,
        (outcome, _) => outcome.map_or(Slept::Not, Slept::from),
    }
}

/// Whether somebody may sleep at `address`. Without a fence: it sees those sleepers whose look at the word is ordered before the
/// caller's change of it. On x86_64 that is so if the change was a locked operation; elsewhere a full fence must stand between.
#[inline(always)]
#[must_use]
pub fn has_sleepers(address: usize) -> bool {
    TABLE.has_sleepers(address)
}

/// Wakes up to `most` of those who sleep at `address` for one of `bits`, the longest first. The caller has changed the word.
#[inline]
pub fn wake_at(address: usize, bits: u32, most: usize) -> Found {
    TABLE.wake(Key::new(address, bits), most)
}
