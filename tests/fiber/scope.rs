//! Scopes: borrows, panics, handles that are not joined, nesting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[abaca::test]
fn fibers_borrow_from_the_parents_frame() {
    let mut numbers = vec![1, 2, 3, 4];
    let mut rest = 0;
    let product = abaca::scope(|scope| {
        let (left, right) = numbers.split_at_mut(2);
        let left = scope.spawn(|| {
            left[0] = 10;
            left.iter().product::<i32>()
        });
        scope.spawn(|| rest = right.iter().product());
        left.join().unwrap()
    });
    assert_eq!((product, rest), (20, 12));
    assert_eq!(numbers, [10, 2, 3, 4]);
}

#[abaca::test]
fn a_scope_waits_for_unjoined_fibers() {
    let done = AtomicUsize::new(0);
    abaca::scope(|scope| {
        for _ in 0..1_000 {
            scope.spawn(|| {
                abaca::yield_now();
                done.fetch_add(1, SeqCst);
            });
        }
        // Forgetting a handle changes nothing.
        std::mem::forget(scope.spawn(|| done.fetch_add(1, SeqCst)));
    });
    assert_eq!(done.load(SeqCst), 1_001);
}

#[abaca::test]
fn a_panic_of_the_closure_waits_for_the_fibers() {
    let done = Arc::new(AtomicUsize::new(0));
    let result = catch_unwind(AssertUnwindSafe(|| {
        abaca::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    abaca::sleep(std::time::Duration::from_millis(1));
                    done.fetch_add(1, SeqCst);
                });
            }
            panic!("in the closure");
        })
    }));
    let payload: Box<dyn std::any::Any + Send> = result.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"in the closure"));
    assert_eq!(done.load(SeqCst), 100);
}

#[abaca::test]
fn a_panic_of_an_unjoined_fiber_panics_the_scope_and_a_joined_one_does_not() {
    let result = catch_unwind(|| abaca::scope(|scope| drop(scope.spawn(|| panic!("unjoined")))));
    let payload = result.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"a scoped fiber panicked"));
    abaca::scope(|scope| assert!(scope.spawn(|| panic!("joined")).join().is_err()));
}

#[abaca::test]
fn results_that_borrow_are_dropped_before_the_scope_ends() {
    struct Noisy<'a>(&'a AtomicUsize);
    impl Drop for Noisy<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    for _ in 0..200 {
        let drops = AtomicUsize::new(0);
        abaca::scope(|scope| {
            drop(scope.spawn(|| Noisy(&drops)));
            scope.spawn(|| Noisy(&drops)).join().unwrap();
        });
        assert_eq!(drops.load(SeqCst), 2);
    }
}

#[abaca::test]
fn scopes_nest_and_their_fibers_spawn_into_them() {
    fn sum(numbers: &[u64]) -> u64 {
        if numbers.len() < 4 {
            return numbers.iter().sum();
        }
        let (left, right) = numbers.split_at(numbers.len() / 2);
        abaca::scope(|scope| {
            let left = scope.spawn(|| sum(left));
            sum(right) + left.join().unwrap()
        })
    }
    let numbers: Vec<u64> = (0..1_000).collect();
    assert_eq!(sum(&numbers), 499_500);

    let count = AtomicUsize::new(0);
    abaca::scope(|scope| {
        scope.spawn(|| {
            scope.spawn(|| count.fetch_add(1, SeqCst));
            count.fetch_add(1, SeqCst);
        });
    });
    assert_eq!(count.load(SeqCst), 2);
}

#[abaca::test]
fn the_builder_names_scoped_fibers() {
    abaca::scope(|scope| {
        let handle = abaca::Builder::new().name("scoped".into()).spawn_scoped(scope, || {
            assert_eq!(abaca::current().name(), Some("scoped"));
        });
        let handle = handle.unwrap();
        assert_eq!(handle.fiber().name(), Some("scoped"));
        handle.join().unwrap();
    });
}

#[abaca::test]
fn a_name_that_cannot_be_leaves_the_scope_as_it_was() {
    let result = abaca::scope(|scope| {
        let named = abaca::Builder::new().name("a\0b".into());
        let spawned = catch_unwind(AssertUnwindSafe(|| named.spawn_scoped(scope, || 1).map(drop)));
        assert!(spawned.is_err());
        scope.spawn(|| 2).join().unwrap()
    });
    assert_eq!(result, 2);
}
