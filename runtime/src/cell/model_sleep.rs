//! A model of a plain thread that waits: whoever claims its waiter wakes it if it sleeps, and one of several claims it.

use loom::sync::Arc;
use loom::thread::{self, Thread};

use super::{Outcome, Waiter, Woken};

/// What a claimer does; whether its claim was the one.
fn claim(waiter: &Waiter, outcome: Outcome, owner: &Thread) -> bool {
    match waiter.claim(outcome) {
        // The kernel's word compares as it puts the thread to sleep, so that a wake-up in between is not lost; loom's token
        // does the same.
        Some(Woken::Thread(_)) => owner.unpark(),
        Some(Woken::Awake) => {}
        Some(_) => unreachable!("a thread waits"),
        None => return false,
    }
    true
}

#[test]
fn model_a_thread_that_dozes_off_is_woken_by_the_one_claim() {
    loom::model(|| {
        let waiter = Arc::new(Waiter::new(None));
        let owner = thread::current();
        let claimers = [Outcome::Notified, Outcome::Cancelled].map(|outcome| {
            let (waiter, owner) = (Arc::clone(&waiter), owner.clone());
            thread::spawn(move || claim(&waiter, outcome, &owner))
        });
        if waiter.doze() {
            while waiter.outcome().is_none() {
                thread::park();
            }
        }
        let outcome = waiter.outcome().expect("it was claimed");
        let claims = claimers.map(|claimer| claimer.join().unwrap());
        assert_eq!(claims, [outcome == Outcome::Notified, outcome == Outcome::Cancelled]);
    });
}
