//! `Condvar` behaves as std's.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::time::Duration;

use abaca::sync::{Condvar, Mutex};

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn its_traits_are_stds() {
    fn check<T: Send + Sync + UnwindSafe + RefUnwindSafe + Default>(value: &T) -> &T {
        value
    }
    let (ours, theirs) = (Condvar::new(), std::sync::Condvar::new());
    assert_eq!(format!("{:?}", check(&ours)), format!("{:?}", check(&theirs)));
}

#[test]
fn one_notification_wakes_one_waiter() {
    let (woken, changed) = (Mutex::new((0, 0)), Condvar::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut state = woken.lock().unwrap();
                state.0 += 1;
                // Each notification is a permit, so a wait that ends without a notification shows as a missing permit.
                let mut state = changed.wait_while(state, |state| state.1 == 0).unwrap();
                state.1 -= 1;
                state.0 -= 1;
            });
        }
        for left in (0..3).rev() {
            while woken.lock().unwrap().0 != left + 1 {
                std::thread::yield_now();
            }
            woken.lock().unwrap().1 += 1;
            changed.notify_one();
            while woken.lock().unwrap().0 != left {
                std::thread::yield_now();
            }
        }
    });
    assert_eq!(*woken.lock().unwrap(), (0, 0));
}

#[test]
fn notify_all_wakes_all_waiters() {
    let (state, changed) = (Mutex::new((0, false)), Condvar::new());
    std::thread::scope(|scope| {
        // More waiters than are woken under one hold of the list's lock.
        for _ in 0..40 {
            scope.spawn(|| {
                let mut guard = state.lock().unwrap();
                guard.0 += 1;
                drop(changed.wait_while(guard, |state| !state.1).unwrap());
            });
        }
        while state.lock().unwrap().0 != 40 {
            std::thread::yield_now();
        }
        state.lock().unwrap().1 = true;
        changed.notify_all();
    });
}

#[test]
fn a_timed_wait_ends_when_its_time_is_up() {
    let (mutex, changed) = (Mutex::new(7), Condvar::new());
    let (guard, result) = changed.wait_timeout(mutex.lock().unwrap(), MOMENT).unwrap();
    assert!(result.timed_out());
    let (guard, result) = changed.wait_timeout_while(guard, MOMENT, |value| *value == 7).unwrap();
    assert!(result.timed_out());
    let (guard, result) = changed.wait_timeout_while(guard, MOMENT, |value| *value != 7).unwrap();
    assert!(!result.timed_out());
    assert_eq!(*guard, 7);
}

#[test]
fn a_timeout_beyond_the_clocks_range_is_no_timeout() {
    let (ready, changed) = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            *ready.lock().unwrap() = true;
            changed.notify_all();
        });
        let (guard, result) =
            changed.wait_timeout_while(ready.lock().unwrap(), Duration::MAX, |ready| !*ready).unwrap();
        assert!(*guard && !result.timed_out());
    });
}

#[test]
fn waits_report_poison() {
    let (mutex, changed) = (Mutex::new(1), Condvar::new());
    catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock();
        panic!("poison it");
    }))
    .unwrap_err();
    let guard = mutex.lock().unwrap_err().into_inner();
    let (guard, result) = changed.wait_timeout(guard, MOMENT).unwrap_err().into_inner();
    assert!(result.timed_out());
    assert_eq!(*guard, 1);
}

#[test]
fn a_bounded_queue_with_two_condvars_passes_all_items_on() {
    let (queue, filled, drained) = (Mutex::new(Vec::new()), Condvar::new(), Condvar::new());
    let total = Mutex::new(0_u64);
    std::thread::scope(|scope| {
        for producer in 0..4_u64 {
            let (queue, filled, drained) = (&queue, &filled, &drained);
            scope.spawn(move || {
                for n in 0..500 {
                    let mut queue =
                        drained.wait_while(queue.lock().unwrap(), |queue| queue.len() == 2).unwrap();
                    queue.push(producer * 500 + n);
                    filled.notify_one();
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let mut queue =
                        filled.wait_while(queue.lock().unwrap(), |queue| queue.is_empty()).unwrap();
                    *total.lock().unwrap() += queue.pop().unwrap();
                    drained.notify_one();
                }
            });
        }
    });
    assert_eq!(total.into_inner().unwrap(), (0..2_000).sum::<u64>());
}
