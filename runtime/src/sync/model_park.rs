//! `park` and its waiter for loom: the same interface and the same exactly-once claim, over loom's threads.
//!
//! A deadline is modelled as one that may pass at any moment.

use std::time::Instant;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, Thread};

use crate::fiber::{Outcome, Reason};

const WAITING: u32 = 0;

#[derive(Debug)]
pub(crate) struct Waiter {
    state: AtomicU32,
    thread: Thread,
}

#[derive(Debug)]
#[must_use]
pub(crate) struct Woken(Thread);

impl Waiter {
    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Woken> {
        let thread = self.thread.clone();
        self.state
            .compare_exchange(WAITING, outcome as u32, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            .then_some(Woken(thread))
    }

    fn outcome(&self) -> Option<Outcome> {
        match self.state.load(Ordering::Acquire) {
            WAITING => None,
            state if state == Outcome::Notified as u32 => Some(Outcome::Notified),
            state if state == Outcome::TimedOut as u32 => Some(Outcome::TimedOut),
            _ => Some(Outcome::Cancelled),
        }
    }
}

pub(crate) fn waiter() -> Waiter {
    Waiter { state: AtomicU32::new(WAITING), thread: thread::current() }
}

pub(crate) fn wait(waiter: &Waiter, _reason: Reason, deadline: Option<Instant>) -> Outcome {
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        if deadline.is_some() {
            thread::yield_now();
            if waiter.claim(Outcome::TimedOut).is_some() {
                return Outcome::TimedOut;
            }
        } else {
            thread::park();
        }
    }
}

pub(crate) fn wake(woken: Woken) {
    woken.0.unpark();
}

pub(crate) fn unwind() -> ! {
    unreachable!("models do not cancel")
}
