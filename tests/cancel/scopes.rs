//! Scopes and cancellation: a fiber that is cancelled while it waits for others cancels them.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::time::timeout;
use abaca::{scope, try_scope};

use super::{begun, is_cancelled, on_one_worker};

#[test]
fn a_timeout_around_a_scope_cancels_its_fibers() {
    on_one_worker(|| {
        let ended = AtomicUsize::new(0);
        struct Ends<'a>(&'a AtomicUsize);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let result = timeout(Duration::from_millis(1), || {
            scope(|scope| {
                for _ in 0..10 {
                    // The closure's from the beginning: the time may be up before the fiber has begun.
                    let ends = Ends(&ended);
                    scope.spawn(move || {
                        let _ends = ends;
                        abaca::park();
                    });
                }
            });
        });
        assert!(result.is_err());
        assert_eq!(ended.load(SeqCst), 10, "all had ended when the scope did");
    });
}

#[test]
fn a_cancelled_body_cancels_the_fibers_and_they_are_waited_for() {
    on_one_worker(|| {
        let fiber = begun(|| {
            scope(|scope| {
                scope.spawn(abaca::park);
                abaca::park();
            });
        });
        abaca::yield_now();
        fiber.cancel();
        assert!(is_cancelled(fiber.join()));
    });
}

#[test]
fn one_scoped_fiber_can_be_cancelled_alone() {
    on_one_worker(|| {
        let value = scope(|scope| {
            let one = scope.spawn(abaca::park);
            let other = scope.spawn(|| 5);
            one.cancel();
            assert!(is_cancelled(one.join()));
            other.join().unwrap()
        });
        assert_eq!(value, 5);
        // The scope does not mind if nobody joins it.
        scope(|scope| scope.spawn(abaca::park).cancel());
    });
}

#[test]
fn the_first_error_cancels_the_others_and_is_the_result() {
    on_one_worker(|| {
        let reached = AtomicUsize::new(0);
        let result: Result<(), &str> = try_scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    abaca::park();
                    reached.fetch_add(1, SeqCst);
                    Ok(())
                });
            }
            let failing = scope.spawn(|| -> Result<(), _> {
                abaca::yield_now();
                Err("first")
            });
            assert!(is_cancelled(failing.join()));
            assert!(scope.has_failed());
            abaca::park(); // the body is cancelled as well
            reached.fetch_add(1, SeqCst);
            Err("second")
        });
        assert_eq!(result, Err("first"));
        assert_eq!(reached.load(SeqCst), 0);
    });
}

#[test]
fn an_error_of_the_body_cancels_the_fibers() {
    on_one_worker(|| {
        let result: Result<(), String> = try_scope(|scope| {
            scope.spawn(|| {
                abaca::park();
                Ok(())
            });
            abaca::yield_now();
            Err("body".to_owned())
        });
        assert_eq!(result, Err("body".to_owned()));
    });
}

#[test]
fn a_scope_without_failure_returns_the_bodys_value() {
    on_one_worker(|| {
        let mut numbers = [1, 2, 3];
        let result: Result<i32, ()> = try_scope(|scope| {
            let handles: Vec<_> = numbers
                .iter_mut()
                .map(|number| {
                    scope.spawn(move || {
                        *number *= 2;
                        Ok(*number)
                    })
                })
                .collect();
            Ok(handles.into_iter().map(|handle| handle.join().unwrap()).sum())
        });
        assert_eq!(result, Ok(12));
        assert_eq!(numbers, [2, 4, 6]);
    });
}

#[test]
fn a_panic_cancels_the_others_and_is_passed_on() {
    on_one_worker(|| {
        for in_body in [false, true] {
            let result = std::panic::catch_unwind(|| {
                let _: Result<(), ()> = try_scope(|scope| {
                    scope.spawn(|| {
                        abaca::park();
                        Ok(())
                    });
                    if in_body {
                        panic!("body");
                    }
                    scope.spawn(|| -> Result<(), ()> { panic!("fiber") });
                    abaca::park();
                    Ok(())
                });
            });
            let payload = result.unwrap_err();
            let expected = if in_body { "body" } else { "a scoped fiber panicked" };
            assert_eq!(*payload.downcast::<&str>().unwrap(), expected);
        }
    });
}

#[test]
fn a_timeout_around_a_failing_scope_nests() {
    on_one_worker(|| {
        let result = timeout(Duration::from_secs(60), || {
            try_scope(|scope| {
                scope.spawn(|| -> Result<(), u8> {
                    timeout(Duration::from_millis(1), abaca::park).map_err(|_| 3)
                });
                abaca::park();
                Ok(())
            })
        });
        assert_eq!(result, Ok(Err::<(), u8>(3)));
    });
}

#[test]
fn an_error_whose_drop_panics_does_not_end_a_scope_early() {
    struct Explodes(bool);
    impl Drop for Explodes {
        fn drop(&mut self) {
            if self.0 {
                panic!("dropped");
            }
        }
    }
    struct Ends<'a>(&'a AtomicUsize);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            // Longer than a scope that did not wait would last.
            abaca::yield_now();
            self.0.fetch_add(1, SeqCst);
        }
    }
    on_one_worker(|| {
        let ended = &AtomicUsize::new(0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            try_scope(|scope| -> Result<(), Explodes> {
                scope.spawn(|| {
                    let _ends = Ends(ended);
                    abaca::park();
                    Ok(())
                });
                scope.spawn(|| -> Result<(), _> { Err(Explodes(false)) });
                while !scope.has_failed() {
                    abaca::cancel::shield(abaca::yield_now);
                }
                // It is the second error, and is dropped.
                Err(Explodes(true))
            })
        }));
        assert_eq!(ended.load(SeqCst), 1, "the fiber had ended when the scope did");
        assert!(result.is_err(), "the panic arrives");
    });
}
