//! Who takes a lock again as soon as it has released it, and waits for something else while it has it, does not keep others out for ever. `fair.c` has
//! libc's locks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use super::spawn;
use crate::support::on_workers;

/// How often one keeps a lock that another wants: far more often than that is kept out.
const ROUNDS: u32 = 3_000;

/// Calls `keep` again and again, which takes the lock and calls its second argument while it has it, beside one who calls `want`, which takes it.
/// Returns whether that was there five times meanwhile.
fn others_get<L: Send + Sync + 'static>(lock: L, keep: fn(&L, &dyn Fn()), want: fn(&L)) -> bool {
    let shared = Arc::new((lock, AtomicBool::new(false), AtomicBool::new(false)));
    let keeper = spawn({
        let shared = shared.clone();
        move || {
            let (lock, has_begun, has_had) = &*shared;
            let wait = || {
                has_begun.store(true, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
            };
            (0..ROUNDS).any(|_| {
                keep(lock, &wait);
                has_had.load(Ordering::SeqCst)
            })
        }
    });
    let wants = spawn(move || {
        let (lock, has_begun, has_had) = &*shared;
        while !has_begun.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_micros(100));
        }
        for _ in 0..5 {
            want(lock);
            thread::sleep(Duration::from_micros(500));
        }
        has_had.store(true, Ordering::SeqCst);
    });
    let has_had = keeper.join().unwrap();
    wants.join().unwrap();
    has_had
}

/// Each kind of lock, and whether others get it.
fn kinds() -> Vec<(&'static str, bool)> {
    let keep_mutex = |lock: &Mutex<()>, wait: &dyn Fn()| {
        let _guard = lock.lock().unwrap();
        wait();
    };
    let keep_reading = |lock: &RwLock<()>, wait: &dyn Fn()| {
        let _guard = lock.read().unwrap();
        wait();
    };
    let keep_writing = |lock: &RwLock<()>, wait: &dyn Fn()| {
        let _guard = lock.write().unwrap();
        wait();
    };
    let keep_for_condition = |lock: &(Mutex<()>, Condvar), wait: &dyn Fn()| {
        let _guard = lock.0.lock().unwrap();
        lock.1.notify_one();
        wait();
    };
    let keep_parking = |lock: &parking_lot::Mutex<()>, wait: &dyn Fn()| {
        let _guard = lock.lock();
        wait();
    };
    let keep_parking_writing = |lock: &parking_lot::RwLock<()>, wait: &dyn Fn()| {
        let _guard = lock.write();
        wait();
    };
    vec![
        ("mutex", others_get(Mutex::new(()), keep_mutex, |lock| drop(lock.lock().unwrap()))),
        ("written, written", others_get(RwLock::new(()), keep_writing, |lock| drop(lock.write().unwrap()))),
        ("written, read", others_get(RwLock::new(()), keep_writing, |lock| drop(lock.read().unwrap()))),
        ("read, written", others_get(RwLock::new(()), keep_reading, |lock| drop(lock.write().unwrap()))),
        (
            "condition",
            others_get((Mutex::new(()), Condvar::new()), keep_for_condition, |lock| {
                drop(lock.1.wait(lock.0.lock().unwrap()).unwrap());
            }),
        ),
        ("parking_lot", others_get(parking_lot::Mutex::new(()), keep_parking, |lock| drop(lock.lock()))),
        (
            "parking_lot, written, read",
            others_get(parking_lot::RwLock::new(()), keep_parking_writing, |lock| drop(lock.read())),
        ),
    ]
}

#[test]
fn a_lock_of_std_is_not_kept_for_ever_by_who_takes_it_again_at_once() {
    abaca_transparent::threads_are_fibers().unwrap();
    for workers in [1, 2] {
        let kinds = on_workers(workers, kinds);
        let kept: Vec<_> = kinds.into_iter().filter(|kind| !kind.1).map(|kind| kind.0).collect();
        assert!(kept.is_empty(), "on {workers} workers: {kept:?}");
    }
}

/// A stress test; `park/overtaken.rs` has the model.
#[test]
fn those_who_are_overtaken_and_those_who_wait_for_them_all_go_on() {
    abaca_transparent::threads_are_fibers().unwrap();
    let total = on_workers(2, || {
        let total = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..16)
            .map(|n| {
                let total = total.clone();
                spawn(move || {
                    for round in 0..100 {
                        let mut total = total.lock().unwrap();
                        let before = *total;
                        match (n + round) % 3 {
                            0 => thread::yield_now(),
                            1 => thread::sleep(Duration::from_micros(100)),
                            _ => {}
                        }
                        *total = before + 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        *total.lock().unwrap()
    });
    assert_eq!(total, 1_600);
}
