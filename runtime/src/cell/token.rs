//! The token of `park` and `unpark`: at most one `unpark` is remembered for a `park` to come.
//!
//! | state | meaning |
//! |---|---|
//! | empty | no `unpark` since the last `park` |
//! | available | an `unpark` came first: the next `park` returns at once |
//! | parked | the owner is parked, or about to park; the waiter is valid while the lock is held and the state says so |
//!
//! Only the owner parks. Everything happens under a spin lock for a few instructions, so that an owner that gives up
//! (a timeout, a cancellation) knows after [`disarm`](ParkToken::disarm) that no unparker still looks at its waiter.

#![expect(unsafe_code, reason = "holds the address of the owner's waiter")]

use super::{Claim, Waiter};
use crate::queue::SpinLock;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ParkToken<W = Waiter>(SpinLock<State<W>>);

#[derive(Debug)]
enum State<W> {
    Empty,
    Available,
    Parked(*const W),
}

// SAFETY: the waiter's address is only followed under the token's lock, while its owner is parked.
unsafe impl<W: Sync> Send for State<W> {}

impl<W: Claim> ParkToken<W> {
    pub(super) fn new() -> Self {
        Self(SpinLock::new(State::Empty))
    }

    /// Registers the owner's `waiter` before it parks. Returns false if it consumed an `unpark` instead. After true the owner
    /// must wait, and must then call [`disarm`](Self::disarm) unless it was notified.
    pub(crate) fn arm(&self, waiter: &W) -> bool {
        let mut state = self.0.lock();
        if matches!(*state, State::Available) {
            *state = State::Empty;
            return false;
        }
        *state = State::Parked(waiter);
        true
    }

    /// Removes the waiter, after the owner's wait has ended without an `unpark`. An `unpark` since then stays available.
    pub(crate) fn disarm(&self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Parked(_)) {
            *state = State::Empty;
        }
    }

    /// Makes the token available, or returns the wake-up of the parked owner.
    pub(crate) fn make_available(&self) -> Option<W::Wakeup> {
        let mut state = self.0.lock();
        if let State::Parked(waiter) = *state {
            // SAFETY: while the state says so and we hold the lock, the waiter's owner is parked or waits for the
            // lock in `disarm`.
            if let Some(wakeup) = unsafe { &*waiter }.claim_notified() {
                *state = State::Empty;
                return Some(wakeup);
            }
        }
        *state = State::Available;
        None
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of parks and unparks: no unpark is lost, and no waiter is used after its end.

    use loom::sync::Arc;
    use loom::thread;

    use super::super::Outcome;
    use super::super::model_waiter::ModelWaiter;
    use super::*;

    /// Parks. Returns whether an `unpark` ended it.
    fn park(token: &ParkToken<ModelWaiter>, wait: fn(&ModelWaiter) -> Outcome) -> bool {
        let waiter = ModelWaiter::new();
        if !token.arm(&waiter) {
            return true;
        }
        let outcome = wait(&waiter);
        if outcome != Outcome::Notified {
            token.disarm();
        }
        waiter.end();
        outcome == Outcome::Notified
    }

    fn unpark(token: &ParkToken<ModelWaiter>) {
        if let Some(wakeup) = token.make_available() {
            wakeup.wake();
        }
    }

    #[test]
    fn an_unpark_before_during_or_after_ends_the_park() {
        loom::model(|| {
            let token = Arc::new(ParkToken::new());
            let other = Arc::clone(&token);
            let unparker = thread::spawn(move || unpark(&other));
            assert!(park(&token, ModelWaiter::park));
            unparker.join().unwrap();
        });
    }

    #[test]
    fn an_unpark_that_a_timeout_overtakes_ends_the_next_park() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let token = Arc::new(ParkToken::new());
            let other = Arc::clone(&token);
            let unparker = thread::spawn(move || unpark(&other));
            if !park(&token, ModelWaiter::park_or_give_up) {
                assert!(park(&token, ModelWaiter::park));
            }
            unparker.join().unwrap();
        });
    }
}
