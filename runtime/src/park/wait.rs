//! To wait, from wherever one is: the current fiber, or a plain thread.

use std::time::Instant;

use super::block::block;
use super::thread::wait_on_thread;
use crate::cell::{Outcome, Reason, Waiter};
use crate::scheduler;

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
        Some(me) => block(me, waiter, reason, deadline),
        None => wait_on_thread(waiter, reason, deadline),
    }
}
