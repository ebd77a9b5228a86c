//! A latch: a count with one owner, which waits until the count is zero.
//!
//! It guards borrows: the counted fibers or jobs use the owner's stack. So a cancellation of the owner is only noted, and takes
//! effect after the wait.

#![expect(unsafe_code, reason = "holds the address of the owner's waiter")]

use std::ptr;

use crate::cell::{Awaited, CancelScope, Outcome, Waiter, Wakeup};
use crate::park::{self, Cancellation};
use crate::queue::SpinLock;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Latch(SpinLock<State>);

#[derive(Debug)]
struct State {
    count: usize,
    /// The owner's waiter while it waits; null otherwise.
    owner: *const Waiter,
}

// SAFETY: the waiter's address is only followed under the lock, while the owner waits.
unsafe impl Send for State {}

impl Latch {
    pub(crate) fn new(count: usize) -> Self {
        Self(SpinLock::new(State { count, owner: ptr::null() }))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().count
    }

    pub(crate) fn add(&self) {
        self.0.lock().count += 1;
    }

    /// Decrements the count, and wakes the owner at zero. The latch may be freed as soon as the count is zero.
    pub(crate) fn count_down(&self) {
        if let Some(wakeup) = self.count_down_and_claim() {
            park::wake(wakeup);
        }
    }

    fn count_down_and_claim(&self) -> Option<Wakeup> {
        let mut state = self.0.lock();
        state.count -= 1;
        if state.count != 0 || state.owner.is_null() {
            return None;
        }
        // SAFETY: the owner removes its address under the lock before it leaves the wait.
        let wakeup = unsafe { &*state.owner }.claim(Outcome::Notified);
        state.owner = ptr::null();
        wakeup
    }

    /// Waits for zero, even if the caller is cancelled meanwhile. In that case `interrupted` is called once, and the caller
    /// must unwind afterwards, with the result.
    pub(crate) fn wait_to_end(
        &self,
        awaited: impl Into<Awaited>,
        interrupted: impl FnOnce(),
    ) -> Option<Cancellation> {
        let awaited = awaited.into();
        let mut cancelled = None;
        let mut interrupted = Some(interrupted);
        while let Some(outcome) = self.wait_once(awaited) {
            if outcome == Outcome::Cancelled {
                let newer = park::begin_cancellation();
                // The outermost target counts. It comes last, since a cancellation that has begun does not come again.
                cancelled = Some(newer);
                if let Some(interrupted) = interrupted.take() {
                    interrupted();
                }
            }
        }
        cancelled
    }

    /// Waits until the count may be zero or the caller is cancelled. `None` if the count is zero already.
    pub(crate) fn wait_once(&self, awaited: impl Into<Awaited>) -> Option<Outcome> {
        let Awaited { reason, object } = awaited.into();
        let waiter = park::waiter().on(object);
        {
            let mut state = self.0.lock();
            if state.count == 0 {
                return None;
            }
            state.owner = &waiter;
        }
        let outcome = park::wait(&waiter, reason, None);
        if outcome == Outcome::Cancelled {
            self.0.lock().owner = ptr::null();
        }
        Some(outcome)
    }

    /// Waits for zero. If the caller is cancelled meanwhile, `leave` is called once. If it returns true, nothing uses the owner's
    /// stack any more, and the caller must unwind now, with the result. Otherwise this waits to the end, and the caller's next
    /// blocking call unwinds.
    pub(crate) fn wait_or_abandon(
        &self,
        awaited: impl Into<Awaited>,
        leave: impl FnOnce() -> bool,
    ) -> Option<Cancellation> {
        let awaited = awaited.into();
        match self.wait_once(awaited) {
            None => return None,
            Some(Outcome::Cancelled) if leave() => return Some(park::begin_cancellation()),
            Some(_) => {}
        }
        let mut shield = CancelScope::shield();
        let _inside = park::with_chain(|chain| chain.push(&mut shield));
        self.wait_to_end(awaited, || ())
    }

    /// Waits for zero. If the caller is cancelled before, it must unwind, with the result. Only for counted jobs that do not use
    /// the owner's stack.
    pub(crate) fn wait_or_unwind(&self, awaited: impl Into<Awaited>) -> Option<Cancellation> {
        match self.wait_once(awaited) {
            // If the count is zero by now, its result is returned, and the next blocking call unwinds.
            Some(Outcome::Cancelled) if self.count() > 0 => Some(park::begin_cancellation()),
            _ => None,
        }
    }

    /// Waits for zero or the caller's cancellation, upon which the caller's next blocking call unwinds.
    pub(crate) fn wait_or_ignore(&self, awaited: impl Into<Awaited>) {
        let _ = self.wait_once(awaited);
    }
}
