//! What `parking` is under loom: the same interface and the same exactly-once claim, over loom's threads and mutex.
//!
//! A deadline is modelled as one that may pass at any moment.

use std::ops::{Deref, DerefMut};
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

/// Models do not spin.
pub(crate) fn is_alone() -> bool {
    false
}

/// Models run on threads.
pub(crate) fn on_fiber() -> bool {
    false
}

/// Models do not spin.
pub(crate) fn is_elsewhere(_woken: &Woken) -> bool {
    false
}

pub(crate) fn unwind() -> ! {
    unreachable!("models do not cancel")
}

/// `SpinLock` over loom's mutex: the spin lock has its own model, and here its spinning would multiply the
/// interleavings without adding any.
#[derive(Debug)]
pub(crate) struct SpinLock<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
    guard: loom::sync::MutexGuard<'a, T>,
}

impl<T> SpinLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        Some(self.lock())
    }

    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        SpinGuard { lock: self, guard: self.0.lock().unwrap() }
    }
}

impl<'a, T> SpinGuard<'a, T> {
    pub(crate) fn lock_of(guard: &Self) -> &'a SpinLock<T> {
        guard.lock
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
