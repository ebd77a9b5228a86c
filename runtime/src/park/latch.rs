//! A latch: a count that one owner waits for to reach zero, and cannot leave before it has.
//!
//! It guards borrows: what is counted uses the owner's stack. So a cancellation of the owner is only noted, and
//! acted upon after the wait.

#![expect(unsafe_code, reason = "holds the address of the owner's waiter")]

use std::ptr;

use crate::cell::{Boundary, Outcome, Reason, Waiter, Woken};
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

    /// Counts one less, and wakes the owner at zero. After the last one the latch may be gone.
    pub(crate) fn subtract(&self) {
        if let Some(woken) = self.subtract_and_claim() {
            park::wake(woken);
        }
    }

    fn subtract_and_claim(&self) -> Option<Woken> {
        let mut state = self.0.lock();
        state.count -= 1;
        if state.count != 0 || state.owner.is_null() {
            return None;
        }
        // SAFETY: the owner takes its address out under the lock before it leaves the wait.
        let woken = unsafe { &*state.owner }.claim(Outcome::Notified);
        state.owner = ptr::null();
        woken
    }

    /// Waits for zero, whatever happens. If the caller was cancelled meanwhile, `interrupted` is called once, and the
    /// result is the duty to unwind now.
    pub(crate) fn await_zero(&self, reason: Reason, interrupted: impl FnOnce()) -> Option<Cancellation> {
        let mut cancelled = None;
        let mut interrupted = Some(interrupted);
        while let Some(outcome) = self.wait_once(reason) {
            if outcome == Outcome::Cancelled {
                let newer = park::acknowledge();
                // The outermost is the one to obey: it comes last, since what was obeyed does not come again.
                cancelled = Some(newer);
                if let Some(interrupted) = interrupted.take() {
                    interrupted();
                }
            }
        }
        cancelled
    }

    /// Waits until the count may be zero, or the caller is cancelled; `None` if it is zero.
    pub(crate) fn wait_once(&self, reason: Reason) -> Option<Outcome> {
        let waiter = park::waiter();
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

    /// Waits for zero. A caller that is cancelled meanwhile may go if `leave`, which is called once, says that nobody uses
    /// what is counted: the result is the duty to unwind now. Otherwise it stays to the end, and its next blocking call obeys.
    pub(crate) fn await_zero_or_leave(
        &self,
        reason: Reason,
        leave: impl FnOnce() -> bool,
    ) -> Option<Cancellation> {
        match self.wait_once(reason) {
            None => return None,
            Some(Outcome::Cancelled) if leave() => return Some(park::acknowledge()),
            Some(_) => {}
        }
        let mut shield = Boundary::shield();
        let _inside = park::with_chain(|chain| chain.push(&mut shield));
        self.await_zero(reason, || ())
    }

    /// Waits for zero. A caller that is cancelled before is to unwind; what is counted is not its own.
    pub(crate) fn await_zero_or_go(&self, reason: Reason) -> Option<Cancellation> {
        match self.wait_once(reason) {
            // What has been done meanwhile is returned, and the next blocking call obeys.
            Some(Outcome::Cancelled) if self.count() > 0 => Some(park::acknowledge()),
            _ => None,
        }
    }

    /// Waits for zero, or for the caller's cancellation, which its next blocking call obeys.
    pub(crate) fn await_zero_or_ignore(&self, reason: Reason) {
        let _ = self.wait_once(reason);
    }
}
