//! Locks and initialisers, of which a timeout or token in a destructor ends the holder: what is poisoned, and what is not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use abaca::sync::{Mutex, Once};
use abaca::time::timeout;

use super::nested::{OnDrop, Reason, for_each_reason, in_destructor};
use super::{begun, is_cancelled, on_one_worker};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn locks_are_poisoned_by_the_panic_outside_and_not_by_the_cancellation_inside() {
    for_each_reason(|reason| {
        let (before, within) = (Mutex::new(0), Mutex::new(0));
        let mut guard = Some(before.lock().unwrap());
        in_destructor(reason, || {
            let late = timeout(SHORT, || {
                let _before = guard.take();
                let _within = within.lock().unwrap();
                abaca::park();
            });
            assert!(late.is_err());
        });
        assert!(!within.is_poisoned(), "{reason:?}");
        // That of std is poisoned as well if its holder panics, wherever it drops the guard.
        assert_eq!(before.is_poisoned(), matches!(reason, Reason::Panic), "{reason:?}");

        let after = Mutex::new(0);
        let taken = after.lock().unwrap();
        let mut guard = Some(taken);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _late = OnDrop(|| drop(guard.take()));
            in_destructor(reason, || assert!(timeout(SHORT, abaca::park).is_err()));
        }));
        assert!(!after.is_poisoned());
    });
}

#[test]
fn a_guard_from_before_a_cancellation_is_not_poisoned_by_a_timeout_in_a_destructor() {
    on_one_worker(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&lock);
        let fiber = begun(move || {
            let _guard = theirs.lock().unwrap();
            let _on_drop = OnDrop(|| assert!(timeout(SHORT, abaca::park).is_err()));
            abaca::park();
        });
        fiber.cancel();
        assert!(is_cancelled(fiber.join()));
        assert!(!lock.is_poisoned());
    });
}

#[test]
fn an_initialiser_that_a_timeout_of_a_destructor_ends_may_run_again() {
    for_each_reason(|reason| {
        let once = Once::new();
        assert!(in_destructor(reason, || timeout(SHORT, || once.call_once(abaca::park))).is_err());
        once.call_once(|| ());
        assert!(once.is_completed());
    });
}
