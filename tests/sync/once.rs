//! `Once`, `OnceLock`, `LazyLock` and `Barrier`: one caller runs the closure, the others park; panics and errors as in std.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::sync::{Arc, Barrier, LazyLock, Once, OnceLock};
use abaca::time::timeout;
use abaca::{Runtime, spawn, yield_now};
use abaca_tests::{begun, on_one_worker};

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a message")
}

#[test]
fn one_caller_runs_the_closure_and_the_others_park_until_it_has_ended() {
    on_one_worker(|| {
        let once = Arc::new((Once::new(), AtomicUsize::new(0)));
        let fibers: Vec<_> = (0..20)
            .map(|_| {
                let once = Arc::clone(&once);
                spawn(move || {
                    once.0.call_once(|| {
                        (0..5).for_each(|_| yield_now());
                        once.1.fetch_add(1, SeqCst);
                    });
                    assert_eq!(once.1.load(SeqCst), 1);
                })
            })
            .collect();
        once.0.wait();
        assert!(once.0.is_completed());
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn a_panic_poisons_a_once_as_in_std() {
    let (ours, theirs) = (Once::new(), std::sync::Once::new());
    for _ in 0..2 {
        let mine = message(|| ours.call_once(|| panic!("first")));
        let yours = message(|| theirs.call_once(|| panic!("first")));
        assert_eq!(mine, yours);
    }
    assert_eq!(message(|| ours.wait()), message(|| theirs.wait()));
    ours.call_once_force(|state| assert!(state.is_poisoned()));
    assert!(ours.is_completed());
    ours.call_once_force(|_| unreachable!());
    ours.wait_force();
    assert_eq!(format!("{ours:?}"), format!("{:?}", std::sync::Once::new()));
}

#[test]
fn a_cancelled_call_leaves_the_state_as_it_was_for_the_next_caller() {
    on_one_worker(|| {
        let once = Arc::new(Once::new());
        let maker = {
            let once = Arc::clone(&once);
            begun(move || once.call_once(abaca::park))
        };
        assert!(timeout(Duration::from_millis(1), || once.wait()).is_err());
        assert!(timeout(Duration::from_millis(1), || once.call_once(|| unreachable!())).is_err());
        maker.cancel();
        assert!(maker.join().is_err());
        assert!(std::panic::catch_unwind(|| once.call_once(|| panic!("on purpose"))).is_err());
        let maker = {
            let once = Arc::clone(&once);
            begun(move || once.call_once_force(|_| abaca::park()))
        };
        maker.cancel();
        assert!(maker.join().is_err());
        once.call_once_force(|state| assert!(state.is_poisoned()));
        assert!(once.is_completed());
    });
}

#[test]
fn the_initialisation_of_a_lazy_lock_is_not_cancelled() {
    on_one_worker(|| {
        let lazy = Arc::new(LazyLock::new(|| {
            abaca::park();
            7
        }));
        let maker = {
            let lazy = Arc::clone(&lazy);
            begun(move || {
                LazyLock::force(&*lazy);
                abaca::park();
            })
        };
        maker.cancel();
        abaca::yield_now();
        maker.fiber().unpark();
        assert!(maker.join().unwrap_err().is::<abaca::Cancelled>());
        assert_eq!(LazyLock::get(&*lazy), Some(&7));
    });
}

#[test]
fn a_once_lock_is_written_once() {
    let lock = OnceLock::new();
    assert_eq!((lock.get(), format!("{lock:?}")), (None, "OnceLock(<uninit>)".to_owned()));
    assert_eq!(lock.get_or_try_init(|| Err::<i32, _>("not yet")), Err("not yet"));
    assert_eq!(lock.get(), None, "a failure leaves it empty");
    assert_eq!(
        message(|| {
            lock.get_or_init(|| panic!("making"));
        }),
        "making"
    );
    assert_eq!(*lock.get_or_init(|| 5), 5, "so does a panic");
    assert_eq!(lock.set(6), Err(6));
    assert_eq!(lock.try_insert(7), Err((&5, 7)));
    let mut copy = lock.clone();
    assert_eq!(copy, lock);
    *copy.get_mut().unwrap() += 1;
    assert_eq!((copy.take(), copy.take()), (Some(6), None));
    assert_eq!(*copy.get_mut_or_init(|| 9), 9);
    assert_eq!((copy.into_inner(), OnceLock::from(3).into_inner()), (Some(9), Some(3)));
    assert_eq!(format!("{lock:?}"), "OnceLock(5)");
}

#[test]
fn a_once_lock_drops_its_value_once() {
    let counted = Arc::new(());
    let lock = OnceLock::from(Arc::clone(&counted));
    assert_eq!(Arc::strong_count(&counted), 2);
    drop(lock);
    drop(OnceLock::<Arc<()>>::new());
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn callers_that_need_a_once_lock_wait_for_its_initialisation() {
    on_one_worker(|| {
        let lock = Arc::new(OnceLock::new());
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let lock = Arc::clone(&lock);
                begun(move || *lock.wait())
            })
            .collect();
        let makers: Vec<_> = (0..5)
            .map(|number| {
                let lock = Arc::clone(&lock);
                spawn(move || {
                    *lock.get_or_init(|| {
                        yield_now();
                        number
                    })
                })
            })
            .collect();
        let made: Vec<i32> = waiters.into_iter().chain(makers).map(|fiber| fiber.join().unwrap()).collect();
        assert!(made.iter().all(|value| *value == made[0]), "{made:?}");
    });
}

#[test]
fn a_lazy_value_is_made_at_its_first_use() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<String> = LazyLock::new(|| {
        MADE.fetch_add(1, SeqCst);
        "made".to_owned()
    });
    assert_eq!((LazyLock::get(&LAZY), format!("{LAZY:?}")), (None, "LazyLock(<uninit>)".to_owned()));
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| LAZY.len())).collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 4));
    assert_eq!((MADE.load(SeqCst), LazyLock::force(&LAZY).as_str()), (1, "made"));
    let mut other = LazyLock::from(1);
    *LazyLock::force_mut(&mut other) += 1;
    assert_eq!((*other, LazyLock::get_mut(&mut other)), (2, Some(&mut 2)));
    assert_eq!(*LazyLock::<u8>::default(), 0);
}

#[test]
fn a_lazy_value_whose_initialisation_panicked_panics_at_each_use() {
    let lazy: LazyLock<u8> = LazyLock::new(|| panic!("making"));
    assert_eq!(
        message(|| {
            LazyLock::force(&lazy);
        }),
        "making"
    );
    assert!(
        message(|| {
            let _ = *lazy;
        })
        .contains("poisoned")
    );
}

#[test]
fn each_generation_of_a_barrier_has_one_leader_and_mixes_with_no_other() {
    const COME: usize = 8;
    const ROUNDS: usize = 500;
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let barrier = Arc::new((Barrier::new(COME), AtomicUsize::new(0), AtomicUsize::new(0)));
    let body = || {
        let barrier = Arc::clone(&barrier);
        move || {
            for round in 1..=ROUNDS {
                barrier.1.fetch_add(1, SeqCst);
                let result = barrier.0.wait();
                assert!(barrier.1.load(SeqCst) >= round * COME, "nobody passes before all have come");
                barrier.2.fetch_add(usize::from(result.is_leader()), SeqCst);
            }
        }
    };
    let fibers: Vec<_> = (0..COME - 2).map(|_| runtime.spawn(body())).collect();
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(body())).collect();
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(barrier.2.load(SeqCst), ROUNDS);
}

#[test]
fn a_cancelled_wait_at_a_barrier_has_not_arrived() {
    on_one_worker(|| {
        let barrier = Arc::new(Barrier::new(2));
        assert!(timeout(Duration::from_millis(1), || barrier.wait()).is_err());
        let other = begun({
            let barrier = Arc::clone(&barrier);
            move || barrier.wait().is_leader()
        });
        assert!(!other.is_finished());
        assert!(barrier.wait().is_leader());
        assert!(!other.join().unwrap());
        assert!(Barrier::new(0).wait().is_leader() && Barrier::new(1).wait().is_leader());
    });
}

#[test]
fn a_participant_that_has_counted_passes_the_barrier_although_it_is_cancelled() {
    on_one_worker(|| {
        let barrier = Arc::new(Barrier::new(2));
        let other = begun({
            let barrier = Arc::clone(&barrier);
            move || barrier.wait().is_leader()
        });
        // It does not run before the barrier has counted it: the calls of a thread yield to no fiber, and the worker is blocked.
        let (fiber, theirs) = (other.fiber(), Arc::clone(&barrier));
        let leads = std::thread::spawn(move || {
            fiber.cancel();
            theirs.wait().is_leader()
        });
        assert!(leads.join().unwrap());
        assert!(!other.join().unwrap(), "the leader relies on its arrival");
    });
}
