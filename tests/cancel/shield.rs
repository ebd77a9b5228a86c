//! Shields: what they hide, what they do not, and what happens once the unwinding has begun.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::{CancellationToken, is_cancelled as must_unwind, shield};
use abaca::time::timeout;
use abaca::{Cancelled, channel};

use super::{begun, is_cancelled, on_one_worker};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_wait_in_a_shield_lasts_to_its_end() {
    on_one_worker(|| {
        let (sender, receiver) = channel::unbounded();
        let fiber = begun(move || {
            let message = shield(|| receiver.recv().unwrap());
            assert!(must_unwind());
            (message, catch_unwind(AssertUnwindSafe(abaca::park)).is_err())
        });
        abaca::yield_now();
        fiber.cancel();
        abaca::yield_now();
        assert!(!fiber.is_finished());
        sender.send(5).unwrap();
        assert_eq!(fiber.join().unwrap(), (5, true), "the first wait after the shield unwinds");
    });
}

#[test]
fn a_timeout_outside_of_a_shield_waits_for_it_and_one_inside_does_not() {
    on_one_worker(|| {
        let (sender, receiver) = channel::unbounded::<u8>();
        let result = timeout(SHORT, || {
            shield(|| {
                assert!(timeout(SHORT, || receiver.recv()).is_err(), "inside");
                assert!(receiver.recv_timeout(SHORT * 5).is_err(), "a wait's own deadline");
                assert!(!must_unwind());
            });
            assert!(must_unwind());
            abaca::park();
        });
        assert!(result.is_err());
        drop(sender);
    });
}

#[test]
fn a_cancellation_that_was_caught_does_not_come_again() {
    on_one_worker(|| {
        let fiber = begun(|| {
            let caught = catch_unwind(AssertUnwindSafe(|| abaca::sleep(LONG))).unwrap_err();
            assert!(caught.is::<Cancelled>());
            abaca::sleep(SHORT);
            abaca::current().cancel();
            abaca::sleep(SHORT);
            "went on"
        });
        abaca::yield_now();
        fiber.cancel();
        assert_eq!(fiber.join().unwrap(), "went on");
    });
    on_one_worker(|| {
        let result = timeout(SHORT, || {
            assert!(catch_unwind(AssertUnwindSafe(|| abaca::sleep(LONG))).is_err());
            abaca::sleep(SHORT);
            "went on"
        });
        assert_eq!(result, Ok("went on"));
    });
}

#[test]
fn a_destructor_that_blocks_while_its_fiber_unwinds_waits_to_its_end() {
    struct Receives(channel::Receiver<u8>, Arc<AtomicUsize>);
    impl Drop for Receives {
        fn drop(&mut self) {
            self.1.store(self.0.recv().unwrap().into(), SeqCst);
        }
    }
    on_one_worker(|| {
        let received = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = channel::unbounded();
        let receives = Receives(receiver, Arc::clone(&received));
        let fiber = begun(move || {
            let _receives = receives;
            abaca::park();
        });
        abaca::yield_now();
        fiber.cancel();
        abaca::yield_now();
        // It is in its destructor now; another request changes nothing.
        fiber.cancel();
        abaca::yield_now();
        assert!(!fiber.is_finished());
        sender.send(9).unwrap();
        assert!(is_cancelled(fiber.join()));
        assert_eq!(received.load(SeqCst), 9);
    });
}

#[test]
fn the_outermost_of_several_reasons_wins() {
    on_one_worker(|| {
        let mut passed = Vec::new();
        let outer = timeout(SHORT, || {
            let inner = timeout(SHORT, || {
                // Both are up by then.
                shield(|| abaca::sleep(SHORT * 3));
                abaca::park();
            });
            passed.push("the inner frame went on");
            inner
        });
        assert!(outer.is_err());
        assert!(passed.is_empty(), "{passed:?}");

        let token = CancellationToken::new();
        let fiber = begun({
            let token = token.clone();
            move || {
                let _ = token.run_until_cancelled(|| shield(abaca::yield_now));
                let _ = timeout(LONG, abaca::park);
                unreachable!("the fiber was cancelled as a whole");
            }
        });
        fiber.cancel();
        token.cancel();
        assert!(is_cancelled::<()>(fiber.join()));
    });
}

#[test]
fn an_inner_timeout_leaves_the_outer_one_in_force() {
    on_one_worker(|| {
        let outer = timeout(SHORT * 20, || {
            assert!(timeout(SHORT, abaca::park).is_err());
            assert_eq!(timeout(LONG, || 3), Ok(3));
            timeout(LONG, abaca::park)
        });
        assert!(outer.is_err());
    });
}

#[test]
fn a_panic_passes_through_a_timeout() {
    on_one_worker(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| timeout(LONG, || panic!("through"))));
        assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "through");
        // And the boundary is gone.
        assert!(!must_unwind());
        abaca::sleep(SHORT);
    });
}

#[test]
fn a_shield_holds_while_a_neighbour_unwinds() {
    struct Receives(channel::Receiver<u8>);
    impl Drop for Receives {
        fn drop(&mut self) {
            self.0.recv().unwrap();
        }
    }
    on_one_worker(|| {
        let (end, ends) = channel::unbounded();
        let neighbour = begun(move || {
            let _receives = Receives(ends);
            abaca::park();
        });
        abaca::yield_now();
        neighbour.cancel();
        abaca::yield_now();
        // The neighbour is suspended in its destructor now.
        let (sender, receiver) = channel::unbounded();
        let shielded = begun(move || shield(|| receiver.recv().unwrap()));
        abaca::yield_now();
        shielded.cancel();
        end.send(1).unwrap();
        assert!(is_cancelled(neighbour.join()));
        // Through the hub, where the requests that were put off are obeyed.
        abaca::sleep(SHORT);
        abaca::yield_now();
        assert!(!shielded.is_finished());
        sender.send(5).unwrap();
        assert_eq!(shielded.join().unwrap(), 5);
    });
}

#[test]
fn a_payload_that_is_thrown_late_ends_at_no_other_cancel_scope() {
    on_one_worker(|| {
        let fiber = begun(|| {
            let mut kept = None;
            // The second call's frame lies where the first one's was.
            for round in 0..2 {
                let token = CancellationToken::new();
                let _ = token.run_until_cancelled(|| {
                    if round == 0 {
                        token.cancel();
                        kept = catch_unwind(AssertUnwindSafe(abaca::yield_now)).err();
                    } else {
                        std::panic::resume_unwind(kept.take().unwrap());
                    }
                });
            }
        });
        assert!(is_cancelled(fiber.join()));
    });
}

#[test]
fn a_coroutine_that_is_suspended_inside_a_timeout_may_outlive_the_one_outside() {
    // The default pool of coroutines is the process's.
    abaca_tests::leaks::expect_stacks(1);
    use abaca::coroutine::Coroutine;

    on_one_worker(|| {
        let mut coroutine = Coroutine::new(|yielder, ()| {
            timeout(LONG, || {
                yielder.suspend(());
            })
        });
        timeout(SHORT, || {
            coroutine.resume(());
        })
        .unwrap();
        coroutine.resume(());
        assert!(coroutine.is_done());
        abaca::sleep(SHORT * 5);
        assert!(!must_unwind());
    });
}

#[test]
fn a_coroutine_that_is_suspended_inside_a_timeout_may_outlive_its_fiber() {
    use abaca::coroutine::Coroutine;

    // With storage of its own, the fiber would take it along.
    abaca_tests::with_shared_storage().workers(1).build().unwrap().run(|| {
        let fiber = abaca::spawn_local(|| {
            let mut coroutine = Coroutine::new(|yielder, ()| {
                timeout(LONG, || {
                    yielder.suspend(());
                })
            });
            coroutine.resume(());
            coroutine
        });
        let mut coroutine = fiber.join().unwrap();
        timeout(SHORT, || {
            coroutine.resume(());
            abaca::park();
        })
        .unwrap_err();
        assert!(coroutine.is_done());
    });
}
