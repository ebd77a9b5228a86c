//! std::sync, unmodified.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use super::{as_on_threads, spawn, until};

#[test]
fn a_mutex_is_held_over_a_sleep() {
    let total = as_on_threads(|| {
        let total = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..10)
            .map(|n| {
                let total = total.clone();
                spawn(move || {
                    for _ in 0..3 {
                        let mut total = total.lock().unwrap();
                        let before = *total;
                        thread::sleep(Duration::from_micros(200));
                        *total = before + n;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        *total.lock().unwrap()
    });
    assert_eq!(total, 3 * 45);
}

#[test]
fn a_poisoned_mutex_says_so() {
    let _same = as_on_threads(|| {
        let mutex = Arc::new(Mutex::new(1));
        let theirs = mutex.clone();
        let result = spawn(move || {
            let _guard = theirs.lock().unwrap();
            panic!("with the lock");
        })
        .join();
        (result.is_err(), mutex.is_poisoned(), mutex.lock().is_err(), mutex.try_lock().is_err())
    });
}

#[test]
fn a_condition_wakes_one_or_all_and_times_out() {
    let _same = as_on_threads(|| {
        let pair = Arc::new((Mutex::new((0, 0)), Condvar::new()));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let pair = pair.clone();
                spawn(move || {
                    let mut state = pair.0.lock().unwrap();
                    state.0 += 1;
                    while state.1 == 0 {
                        state = pair.1.wait(state).unwrap();
                    }
                    state.1 -= 1;
                })
            })
            .collect();
        until(|| pair.0.lock().unwrap().0 == 8);
        pair.0.lock().unwrap().1 = 1;
        pair.1.notify_one();
        until(|| pair.0.lock().unwrap().1 == 0);
        pair.0.lock().unwrap().1 = 7;
        pair.1.notify_all();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let state = pair.0.lock().unwrap();
        let (state, result) = pair.1.wait_timeout(state, Duration::from_millis(3)).unwrap();
        (state.1, result.timed_out())
    });
}

#[test]
fn a_rwlock_excludes_writers() {
    let _same = as_on_threads(|| {
        let lock = Arc::new(RwLock::new(0));
        let threads: Vec<_> = (0..12)
            .map(|n| {
                let lock = lock.clone();
                spawn(move || {
                    if n % 3 == 0 {
                        let mut value = lock.write().unwrap();
                        let before = *value;
                        thread::sleep(Duration::from_micros(100));
                        *value = before + 1;
                    } else {
                        let value = lock.read().unwrap();
                        let before = *value;
                        thread::sleep(Duration::from_micros(100));
                        assert_eq!(*value, before);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let value = *lock.read().unwrap();
        (value, lock.try_write().is_ok())
    });
}

#[test]
fn what_is_made_once_is_waited_for() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let _same = as_on_threads(|| {
        CALLS.store(0, Ordering::Relaxed);
        let once = Arc::new((
            Once::new(),
            OnceLock::new(),
            LazyLock::<u32>::new(|| {
                thread::sleep(Duration::from_millis(2));
                CALLS.fetch_add(1, Ordering::Relaxed)
            }),
        ));
        let threads: Vec<_> = (0..20)
            .map(|_| {
                let once = once.clone();
                spawn(move || {
                    once.0.call_once(|| {
                        thread::sleep(Duration::from_millis(2));
                        CALLS.fetch_add(10, Ordering::Relaxed);
                    });
                    let _ = once.1.get_or_init(|| {
                        thread::sleep(Duration::from_millis(2));
                        CALLS.fetch_add(100, Ordering::Relaxed)
                    });
                    *once.2 < 200
                })
            })
            .collect();
        let all = threads.into_iter().all(|thread| thread.join().unwrap());
        (all, CALLS.load(Ordering::Relaxed))
    });
}

#[test]
fn a_barrier_lets_all_go_and_names_one_leader() {
    let _same = as_on_threads(|| {
        let barrier = Arc::new(Barrier::new(10));
        let threads: Vec<_> = (0..10)
            .map(|_| {
                let barrier = barrier.clone();
                spawn(move || (0..5).filter(|_| barrier.wait().is_leader()).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
}

#[test]
fn channels_block_time_out_and_disconnect() {
    let _same = as_on_threads(|| {
        let (sender, receiver) = mpsc::sync_channel(2);
        let (answer, answers) = mpsc::channel();
        let producer = spawn(move || (0..1000).for_each(|n| sender.send(n).unwrap()));
        let consumer = spawn(move || answer.send(receiver.iter().sum::<u32>()).unwrap());
        producer.join().unwrap();
        consumer.join().unwrap();
        let (rendezvous, other) = mpsc::sync_channel(0);
        let meeting = spawn(move || rendezvous.send("met").unwrap());
        let met = other.recv().unwrap();
        meeting.join().unwrap();
        let (silent, silence) = mpsc::channel::<()>();
        let late = silence.recv_timeout(Duration::from_millis(2));
        drop(silent);
        (answers.recv(), met, late, silence.recv(), other.recv())
    });
}

#[test]
fn fibers_and_plain_threads_wake_each_other() {
    abaca_transparent::threads_are_fibers().unwrap();
    let (to_fiber, from_thread) = mpsc::channel();
    let (to_thread, from_fiber) = mpsc::channel();
    let thread = abaca_transparent::as_kernel_threads(|| {
        thread::spawn(move || {
            for n in 0..2000_u32 {
                to_fiber.send(n).unwrap();
                assert_eq!(from_fiber.recv().unwrap(), n);
            }
        })
    });
    crate::support::on_one_worker(move || {
        for n in from_thread {
            to_thread.send(n).unwrap();
        }
    });
    thread.join().unwrap();
}
