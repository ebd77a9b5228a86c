//! Coroutines that are suspended in destructors while they unwind: their panics are not their resumers'.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::panicking;
use std::time::Duration;

use abaca::coroutine::{Coroutine, CoroutineResult, Yielder};
use abaca::sync::Mutex;
use abaca::time::{Elapsed, timeout};

/// Suspends the coroutine when it is dropped.
struct Suspends<'a>(&'a Yielder<(), bool>);

impl Drop for Suspends<'_> {
    fn drop(&mut self) {
        self.0.suspend(panicking());
        assert!(panicking(), "it unwinds still");
    }
}

/// A coroutine in the middle of unwinding.
fn unwinding() -> Coroutine<(), bool, ()> {
    let mut coroutine = Coroutine::new(|yielder, ()| {
        let _suspends = Suspends(yielder);
        resume_unwind(Box::new("on purpose"));
    });
    assert_eq!(coroutine.resume(()), CoroutineResult::Yield(true));
    coroutine
}

/// Lets it end.
fn end(mut coroutine: Coroutine<(), bool, ()>) {
    let payload = catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
    assert!(coroutine.is_done());
}

#[abaca::test(workers = 1)]
fn the_resumer_of_an_unwinding_coroutine_does_not_look_panicking() {
    let (ours, stds) = (Mutex::new(()), std::sync::Mutex::new(()));
    let held = (ours.lock().unwrap(), stds.lock().unwrap());
    let coroutine = unwinding();
    assert!(!panicking());
    drop(held);
    assert!(!ours.is_poisoned() && !stds.is_poisoned());
    assert!(timeout(Duration::from_millis(1), abaca::park).is_err());
    end(coroutine);
    assert!(!panicking());
}

#[abaca::test(workers = 1)]
fn an_unwinding_coroutine_goes_on_in_another_fiber() {
    let coroutines: Vec<_> = (0..3).map(|_| unwinding()).collect();
    for coroutine in coroutines {
        let other = abaca::spawn_local(move || {
            end(coroutine);
            assert!(!panicking());
            assert!(timeout(Duration::from_millis(1), abaca::park).is_err());
        });
        other.join().unwrap();
    }
    assert!(!panicking());
}

#[abaca::test(workers = 1)]
fn a_resumer_that_unwinds_keeps_its_own_panics() {
    struct Resumes;
    impl Drop for Resumes {
        fn drop(&mut self) {
            assert!(panicking());
            let coroutine = unwinding();
            assert!(panicking(), "those of who resumes stay");
            abaca::yield_now();
            end(coroutine);
            assert!(panicking());
        }
    }
    let payload = catch_unwind(|| {
        let _resumes = Resumes;
        resume_unwind(Box::new("outside"));
    });
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&"outside"));
    assert!(!panicking());
}

/// A coroutine that an unwinding fiber has resumed may go on in one that does not unwind.
#[abaca::test(workers = 1)]
fn the_panics_of_a_coroutine_are_told_from_its_resumers() {
    thread_local!(static KEPT: std::cell::Cell<Option<Coroutine<(), bool, ()>>> = const { std::cell::Cell::new(None) });
    struct Resumes;
    impl Drop for Resumes {
        fn drop(&mut self) {
            KEPT.set(Some(unwinding()));
        }
    }
    let payload = catch_unwind(|| {
        let _resumes = Resumes;
        resume_unwind(Box::new("outside"));
    });
    assert!(payload.is_err() && !panicking());
    end(KEPT.take().unwrap());
    assert!(!panicking());
}

#[test]
fn threads_are_as_fibers_once_there_is_a_runtime() {
    abaca::run(|| ());
    let coroutine = unwinding();
    assert!(!panicking());
    end(coroutine);
    assert!(!panicking());
}

/// A coroutine that does not unwind has nothing to take along.
#[abaca::test(workers = 1)]
fn a_coroutine_resumed_by_an_unwinding_fiber_leaves_the_panics_there() {
    struct Resumes(Coroutine<(), bool, ()>);
    impl Drop for Resumes {
        fn drop(&mut self) {
            assert_eq!(self.0.resume(()), CoroutineResult::Yield(true));
            assert!(panicking());
            assert_eq!(self.0.resume(()), CoroutineResult::Return(()));
        }
    }
    let coroutine = Coroutine::new(|yielder: &Yielder<(), bool>, ()| {
        yielder.suspend(panicking());
        assert!(panicking(), "who resumes it unwinds");
    });
    assert!(
        catch_unwind(AssertUnwindSafe(|| {
            let _resumes = Resumes(coroutine);
            resume_unwind(Box::new("outside"));
        }))
        .is_err()
    );
    assert!(!panicking());
}

/// It cannot be unwound a second time, as a panic in a destructor during another would be: it is leaked.
#[abaca::test(workers = 1)]
fn one_that_is_dropped_while_it_unwinds_is_leaked() {
    drop(unwinding());
    assert!(!panicking());
    // Whose drop forces the unwinding in which it suspends.
    let mut forced = Coroutine::new(|yielder: &Yielder<(), bool>, ()| {
        let _suspends = Suspends(yielder);
        yielder.suspend(false);
    });
    assert_eq!(forced.resume(()), CoroutineResult::Yield(false));
    drop(forced);
    assert!(!panicking());
    // Dropped by who unwinds: one that panics, and one that is cancelled.
    let payload = catch_unwind(|| {
        let _unwinding = unwinding();
        resume_unwind(Box::new("outside"));
    });
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&"outside"));
    assert!(!panicking());
    let _: Elapsed = timeout(Duration::from_millis(1), || {
        let _unwinding = unwinding();
        abaca::park();
    })
    .unwrap_err();
    assert!(!panicking());
}
