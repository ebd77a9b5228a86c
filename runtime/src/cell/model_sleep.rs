//! A model of a plain thread that waits: one of several claims succeeds, and it wakes the thread if the thread sleeps.

use loom::sync::Arc;
use loom::thread::{self, Thread};

use super::{Outcome, Waiter, Wakeup};

/// Claims the waiter and wakes its owner. Returns whether the claim has succeeded.
fn claim(waiter: &Waiter, outcome: Outcome, owner: &Thread) -> bool {
    match waiter.claim(outcome) {
        // The kernel compares the word as it puts the thread to sleep, so that no wake-up in between is lost. Loom's token
        // has the same effect.
        Some(Wakeup::Thread(_)) => owner.unpark(),
        Some(Wakeup::Awake) => {}
        Some(_) => unreachable!("a thread waits"),
        None => return false,
    }
    true
}

#[test]
fn model_a_thread_that_falls_asleep_is_woken_by_the_one_claim() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(None));
        let owner = thread::current();
        let claimers = [Outcome::Notified, Outcome::Cancelled].map(|outcome| {
            let (waiter, owner) = (Arc::clone(&waiter), owner.clone());
            thread::spawn(move || claim(&waiter, outcome, &owner))
        });
        if waiter.begin_sleep() {
            while waiter.outcome().is_none() {
                thread::park();
            }
        }
        let outcome = waiter.outcome().expect("the waiter was claimed");
        let claims = claimers.map(|claimer| claimer.join().unwrap());
        assert_eq!(claims, [outcome == Outcome::Notified, outcome == Outcome::Cancelled]);
    });
}
