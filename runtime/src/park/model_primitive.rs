//! Takes the place of `primitive.rs` under loom: the same interface and the same exactly-once claim, over loom's threads and
//! mutex.
//!
//! A deadline may pass at any moment.

#![expect(unsafe_code, reason = "a kept guard outlives its lifetime")]

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread::{self, Thread};

pub(crate) use super::{Cost, spend, spend_as, spend_locked};
use crate::cell::{Outcome, Reason};

const WAITING: u32 = 0;

#[derive(Debug)]
pub(crate) struct Waiter {
    state: AtomicU32,
    thread: Thread,
}

#[derive(Debug)]
#[must_use]
pub(crate) struct Wakeup(Thread);

impl Waiter {
    pub(crate) fn on(self, _object: *const ()) -> Self {
        self
    }

    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Wakeup> {
        let thread = self.thread.clone();
        self.state
            .compare_exchange(WAITING, outcome as u32, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            .then_some(Wakeup(thread))
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

/// Models of locks have no cancellation.
pub(crate) fn unwinds_cancelled() -> bool {
    false
}

/// As above.
pub(crate) fn was_cancelled_last() -> bool {
    false
}

pub(crate) fn waiter() -> Waiter {
    Waiter { state: AtomicU32::new(WAITING), thread: thread::current() }
}

pub(crate) fn wait_within(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> Outcome {
    wait(waiter, reason, deadline)
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

pub(crate) fn wake(wakeup: Wakeup) {
    wakeup.0.unpark();
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
pub(crate) fn wake_and_tell(wakeup: Wakeup) -> bool {
    wake(wakeup);
    false
}

/// Models have no cancellation.
pub(crate) fn shield<R>(f: impl FnOnce() -> R) -> R {
    f()
}

pub(crate) fn unwind() -> ! {
    unreachable!("models do not cancel")
}

/// A bias has a model of its own, as the lock has.
#[derive(Debug)]
pub(crate) struct Bias;

pub(crate) trait Biasing {}

impl<T> Biasing for T {}

/// `SpinLock` over loom's mutex: the spin lock has its own model, and here its spinning would multiply the
/// interleavings without adding any.
#[derive(Debug)]
pub(crate) struct SpinLock<T, B = ()> {
    bias: PhantomData<fn() -> B>,
    mutex: loom::sync::Mutex<()>,
    /// Never contended: the mutex is taken first.
    value: std::sync::Mutex<T>,
    /// The guard of a holder that keeps the lock.
    kept: std::sync::Mutex<Option<loom::sync::MutexGuard<'static, ()>>>,
    /// The word of a lock at which others look. Of any other it would multiply the interleavings for nothing.
    word: Option<AtomicBool>,
}

// SAFETY: the guard of loom's mutex goes back to the thread that kept it.
unsafe impl<T: Send, B> Send for SpinLock<T, B> {}
// SAFETY: as above; the value is behind std's mutex.
unsafe impl<T: Send, B> Sync for SpinLock<T, B> {}

#[derive(Debug)]
pub(crate) struct SpinGuard<'a, T, B = ()> {
    lock: &'a SpinLock<T, B>,
    // The fields are dropped in this order.
    value: std::sync::MutexGuard<'a, T>,
    word: HeldWord<'a>,
    guard: loom::sync::MutexGuard<'a, ()>,
}

/// The word of a lock that is held, if it has one: to be cleared.
#[derive(Debug)]
struct HeldWord<'a>(Option<&'a AtomicBool>);

impl Drop for HeldWord<'_> {
    fn drop(&mut self) {
        if let Some(word) = self.0 {
            word.store(false, Ordering::Release);
        }
    }
}

impl<T> SpinLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self::any(value)
    }

    /// Others will look whether it is locked.
    pub(crate) fn with_word(self) -> Self {
        Self { word: Some(AtomicBool::new(false)), ..self }
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.word.as_ref().expect("it has a word").load(Ordering::Acquire)
    }
}

impl<T> SpinLock<T, Bias> {
    pub(crate) fn with_bias(value: T) -> Self {
        Self::any(value)
    }

    pub(crate) fn try_lock_by_bias(&self) -> Option<SpinGuard<'_, T, Bias>> {
        self.try_lock()
    }
}

impl<T, B> SpinLock<T, B> {
    fn any(value: T) -> Self {
        Self {
            bias: PhantomData,
            mutex: loom::sync::Mutex::new(()),
            value: std::sync::Mutex::new(value),
            kept: std::sync::Mutex::new(None),
            word: None,
        }
    }

    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T, B>> {
        Some(self.lock())
    }

    pub(crate) fn lock(&self) -> SpinGuard<'_, T, B> {
        let guard = self.mutex.lock().unwrap();
        if let Some(word) = &self.word {
            word.swap(true, Ordering::Acquire);
        }
        self.guard(guard)
    }

    fn guard<'a>(&'a self, guard: loom::sync::MutexGuard<'a, ()>) -> SpinGuard<'a, T, B> {
        let value = self.value.try_lock().expect("loom's mutex guards it");
        SpinGuard { lock: self, value, word: HeldWord(self.word.as_ref()), guard }
    }

    /// # Safety
    ///
    /// The caller's thread has kept a guard of this lock, and this is its first use since.
    pub(crate) unsafe fn resume(&self) -> SpinGuard<'_, T, B> {
        let guard = self.kept.lock().unwrap().take().expect("the guard is kept");
        self.guard(guard)
    }
}

impl<'a, T, B> SpinGuard<'a, T, B> {
    pub(crate) fn lock_of(guard: &Self) -> &'a SpinLock<T, B> {
        guard.lock
    }

    pub(crate) fn keep(guard: Self) {
        let Self { lock, value, word, guard } = guard;
        drop(value);
        std::mem::forget(word);
        // SAFETY: the lock outlives its guard, which `resume` takes out by its own lifetime.
        let guard = unsafe { std::mem::transmute::<_, loom::sync::MutexGuard<'static, ()>>(guard) };
        *lock.kept.lock().unwrap() = Some(guard);
    }
}

impl<T, B> Deref for SpinGuard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T, B> DerefMut for SpinGuard<'_, T, B> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
