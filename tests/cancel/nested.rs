//! Timeouts, tokens and scopes that are set up in a destructor while its fiber or thread unwinds: they end the waits inside, by an
//! unwinding that stays inside of the destructor. What is outside of the destructor ends none.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::panicking;
use std::time::{Duration, Instant};

use abaca::cancel::{CancellationToken, checkpoint, is_cancelled as must_unwind, shield};
use abaca::sync::Mutex;
use abaca::time::{Elapsed, timeout, timeout_at};
use abaca::{Cancelled, JoinSet, blocking, try_scope};

use super::waits;
use super::{begun, is_cancelled, on_one_worker};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

/// Calls its function when it is dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Why the caller unwinds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    Panic,
    Timeout,
    Token,
}

const REASONS: [Reason; 3] = [Reason::Panic, Reason::Timeout, Reason::Token];

/// Calls `body` in a destructor while the caller unwinds for this reason, and returns what it returns.
pub(super) fn in_destructor<T>(reason: Reason, body: impl FnOnce() -> T) -> T {
    let (mut body, result) = (Some(body), Rc::new(RefCell::new(None)));
    let unwind = |how: fn()| {
        let place = Rc::clone(&result);
        let _on_drop = OnDrop(move || {
            assert!(panicking());
            if let Some(body) = body.take() {
                *place.borrow_mut() = Some(body());
            }
            assert!(panicking(), "the unwinding inside has taken the count of the one outside");
        });
        how();
    };
    match reason {
        Reason::Panic => {
            let payload =
                catch_unwind(AssertUnwindSafe(|| unwind(|| resume_unwind(Box::new("mine"))))).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"mine"));
        }
        Reason::Timeout => assert!(timeout(Duration::ZERO, || unwind(abaca::park)).is_err()),
        Reason::Token => {
            let token = CancellationToken::new();
            let ended = token.run_until_cancelled(|| {
                token.cancel();
                unwind(abaca::park);
            });
            assert!(ended.is_none());
        }
    }
    assert!(!panicking());
    let result = result.borrow_mut().take();
    result.expect("the destructor has run to its end")
}

/// Runs `check` for each reason, on a fiber and on a plain thread.
pub(super) fn for_each_reason(check: impl Fn(Reason) + Sync) {
    for reason in REASONS {
        check(reason);
        on_one_worker(|| {
            check(reason);
            // The neighbours notice nothing.
            abaca::spawn(|| assert!(!panicking())).join().unwrap();
        });
    }
}

#[test]
fn a_timeout_in_a_destructor_ends_every_wait() {
    for reason in REASONS {
        for (name, wait) in waits::on_threads() {
            assert!(
                in_destructor(reason, || timeout(SHORT, wait)).is_err(),
                "{name}, {reason:?}, on a thread"
            );
        }
        on_one_worker(|| {
            for (name, wait) in waits::in_fibers() {
                assert!(in_destructor(reason, || timeout(SHORT, wait)).is_err(), "{name}, {reason:?}");
            }
            // The neighbours notice nothing.
            abaca::spawn(|| assert!(!panicking())).join().unwrap();
        });
    }
}

#[test]
fn a_token_in_a_destructor_ends_every_wait() {
    for reason in REASONS {
        on_one_worker(|| {
            for (name, wait) in waits::in_fibers() {
                let token = CancellationToken::new();
                let theirs = token.clone();
                let canceller = abaca::spawn(move || theirs.cancel());
                let ended = in_destructor(reason, || token.run_until_cancelled(wait));
                assert!(ended.is_none(), "{name}, {reason:?}");
                canceller.join().unwrap();
            }
        });
    }
    for (name, wait) in waits::on_threads() {
        let token = CancellationToken::new();
        std::thread::scope(|scope| {
            scope.spawn(|| token.cancel());
            let ended = in_destructor(Reason::Panic, || token.run_until_cancelled(wait));
            assert!(ended.is_none(), "{name}, on a thread");
        });
    }
}

#[test]
fn looks_and_yields_in_a_destructor_obey_what_is_inside_of_it() {
    for_each_reason(|reason| {
        assert_eq!(in_destructor(reason, || timeout(LONG, || 5)), Ok(5));
        assert!(in_destructor(reason, || timeout_at(Instant::now(), abaca::park)).is_err());
        assert!(in_destructor(reason, || timeout(Duration::ZERO, checkpoint)).is_err());
        let shielded = || timeout(Duration::ZERO, || (must_unwind(), shield(must_unwind)));
        assert_eq!(in_destructor(reason, shielded), Ok((true, false)));
    });
    on_one_worker(|| {
        let yields = || {
            loop {
                abaca::yield_now();
            }
        };
        assert!(in_destructor(Reason::Panic, || timeout::<()>(SHORT, yields)).is_err());
    });
}

#[test]
fn a_call_of_the_pool_in_a_destructor_is_left_when_the_time_is_up() {
    for reason in REASONS {
        on_one_worker(|| {
            let (hold, held) = std::sync::mpsc::channel::<()>();
            let late = in_destructor(reason, || timeout(SHORT, || blocking::run_owned(move || held.recv())));
            assert!(late.is_err());
            drop(hold);
        });
    }
}

#[test]
fn scopes_and_sets_in_a_destructor_end_their_fibers() {
    for reason in REASONS {
        on_one_worker(|| {
            let failed = in_destructor(reason, || {
                try_scope(|scope| {
                    scope.spawn(|| -> Result<(), _> { Err("refused") });
                    abaca::park();
                    Ok(())
                })
            });
            assert_eq!(failed, Err("refused"));
            let ended = Arc::new(AtomicUsize::new(0));
            let late = in_destructor(reason, || {
                timeout(SHORT, || {
                    abaca::scope(|scope| {
                        for _ in 0..3 {
                            let count = OnDrop(|| _ = ended.fetch_add(1, SeqCst));
                            scope.spawn(move || {
                                let _count = count;
                                abaca::park();
                            });
                        }
                    });
                })
            });
            assert!(late.is_err());
            assert_eq!(ended.load(SeqCst), 3);
            let late = in_destructor(reason, || {
                timeout(SHORT, || {
                    let mut set = JoinSet::new();
                    set.spawn(abaca::park);
                    set.join_next().map(|_| ())
                })
            });
            assert!(late.is_err());
        });
    }
}

#[test]
fn a_cancelled_fiber_has_timeouts_in_its_destructors_and_its_join_tells_of_the_cancellation() {
    on_one_worker(|| {
        let results = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&results);
        let fiber = begun(move || {
            let _on_drop = OnDrop(move || {
                let late = timeout(SHORT, abaca::park);
                assert!(!must_unwind(), "it unwinds, and only what begins now may end a call");
                theirs.lock().unwrap().push(late);
                theirs.lock().unwrap().push(timeout(SHORT, || shield(|| abaca::park_timeout(SHORT * 2))));
            });
            abaca::park();
        });
        fiber.cancel();
        assert!(is_cancelled(fiber.join()));
        assert!(matches!(results.lock().unwrap()[..], [Err(Elapsed { .. }), Ok(())]));
        assert!(!results.is_poisoned());
    });
}

#[test]
fn what_is_outside_of_the_destructor_ends_no_wait_in_it() {
    for_each_reason(|reason| {
        let outer = CancellationToken::new();
        // Both have happened long before the waits in the destructor end, which end by themselves.
        let late = timeout(SHORT, || {
            outer.run_until_cancelled(|| {
                in_destructor(reason, || {
                    outer.cancel();
                    abaca::park_timeout(SHORT * 2);
                    let own = timeout(LONG, || {
                        abaca::park_timeout(SHORT * 2);
                        assert!(!must_unwind());
                        checkpoint();
                        abaca::yield_now();
                    });
                    assert!(own.is_ok());
                });
                assert!(must_unwind());
                abaca::park();
            })
        });
        assert!(late.is_err(), "the first wait after it is ended, by the outermost");
    });
}

#[test]
fn unwindings_nest_in_destructors_of_one_another() {
    fn nest(depth: usize) {
        if depth == 0 {
            return;
        }
        let late = timeout(SHORT, || {
            let _on_drop = OnDrop(|| {
                nest(depth - 1);
                assert!(panicking());
            });
            abaca::park();
        });
        assert!(late.is_err());
    }
    for_each_reason(|reason| in_destructor(reason, || nest(5)));
}

#[test]
fn the_outermost_timeout_in_the_destructor_wins() {
    for_each_reason(|reason| {
        let mut inner_went_on = false;
        let outer = in_destructor(reason, || {
            timeout(SHORT, || {
                let inner = timeout(SHORT, || {
                    shield(|| abaca::sleep(SHORT * 3));
                    abaca::park();
                });
                inner_went_on = true;
                inner
            })
        });
        assert!(outer.is_err() && !inner_went_on);
    });
}

#[test]
fn a_caught_unwinding_in_a_destructor_is_the_callers_own_and_over() {
    for_each_reason(|reason| {
        let result = in_destructor(reason, || {
            timeout(SHORT, || {
                let caught = catch_unwind(AssertUnwindSafe(abaca::park)).unwrap_err();
                assert!(caught.is::<Cancelled>() && Cancelled::is_own(&*caught));
                drop(caught);
                abaca::park_timeout(SHORT);
                "went on"
            })
        });
        assert_eq!(result, Ok("went on"));
        let passed_on = in_destructor(reason, || {
            timeout(SHORT, || {
                let caught = catch_unwind(AssertUnwindSafe(abaca::park)).unwrap_err();
                resume_unwind(caught);
            })
        });
        assert!(passed_on.is_err());
    });
}

// Where the unwinder does not see the frames of a parked fiber, this would end the process: `abaca::cancel` says so.
#[cfg(not(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind)))]
#[test]
fn a_panic_that_a_timeout_of_the_destructor_surrounds_is_left_alone_by_it() {
    for_each_reason(|reason| {
        let waited = in_destructor(reason, || {
            timeout(SHORT, || {
                let mut waited = false;
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    let _on_drop = OnDrop(|| {
                        abaca::park_timeout(SHORT * 5);
                        waited = true;
                    });
                    resume_unwind(Box::new("inner"));
                }));
                assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"inner"));
                waited
            })
        });
        assert_eq!(waited, Ok(true), "and nothing that waits came after");
    });
}

#[test]
fn many_fibers_unwind_in_their_destructors_at_once() {
    let runtime = abaca::Runtime::builder().workers(4).build().unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    runtime.run(|| {
        let fibers: Vec<_> = (0..200_usize)
            .map(|number| {
                let ended = Arc::clone(&ended);
                abaca::spawn(move || {
                    let on_drop = || {
                        assert!(timeout(SHORT, abaca::park).is_err());
                        assert!(
                            timeout(LONG, || abaca::spawn(|| assert!(!panicking())).join().unwrap()).is_ok()
                        );
                        ended.fetch_add(1, SeqCst);
                    };
                    let _on_drop = OnDrop(on_drop);
                    if number % 2 == 0 {
                        abaca::park();
                    }
                    resume_unwind(Box::new(number));
                })
            })
            .collect();
        fibers.iter().step_by(2).for_each(|fiber| fiber.cancel());
        for (number, fiber) in fibers.into_iter().enumerate() {
            let payload = fiber.join().unwrap_err();
            assert!(if number % 2 == 0 { payload.is::<Cancelled>() } else { payload.is::<usize>() });
        }
        let calm = (0..50).map(|_| abaca::spawn(|| assert!(!panicking())));
        calm.collect::<Vec<_>>().into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    // One that was cancelled before it began has nothing to drop.
    assert!((100..=200).contains(&ended.load(SeqCst)));
}
