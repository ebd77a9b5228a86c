//! Fibers that wait park: on one worker, where a wait that blocked the thread would never end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use abaca::channel::{self, RecvTimeoutError, SendTimeoutError};
use abaca::sync::{Arc, Condvar, Mutex, WaitGroup};
use abaca::{Runtime, spawn, spawn_local, yield_now};
use abaca_tests::on_one_worker;

#[test]
fn a_guard_may_be_held_across_a_park() {
    let most_inside = on_one_worker(|| {
        let shared = Rc::new((Mutex::new(()), Cell::new(0), Cell::new(0)));
        let fibers: Vec<_> = (0..10)
            .map(|_| {
                let shared = Rc::clone(&shared);
                spawn_local(move || {
                    for _ in 0..20 {
                        let guard = shared.0.lock().unwrap();
                        shared.1.set(shared.1.get() + 1);
                        shared.2.set(shared.2.get().max(shared.1.get()));
                        yield_now();
                        shared.1.set(shared.1.get() - 1);
                        drop(guard);
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        shared.2.get()
    });
    assert_eq!(most_inside, 1);
}

#[test]
fn a_condition_passes_between_fibers() {
    let turns = on_one_worker(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let fibers: Vec<_> = (0..2)
            .map(|parity| {
                let shared = Arc::clone(&shared);
                spawn(move || {
                    for _ in 0..100 {
                        let turn = shared.0.lock().unwrap();
                        let mut turn = shared.1.wait_while(turn, |turn| *turn % 2 != parity).unwrap();
                        *turn += 1;
                        shared.1.notify_all();
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        *shared.0.lock().unwrap()
    });
    assert_eq!(turns, 200);
}

#[test]
fn a_group_waits_for_fibers() {
    let count = on_one_worker(|| {
        let (group, count) = (WaitGroup::new(), Arc::new(Mutex::new(0)));
        for _ in 0..50 {
            let (part, count) = (group.clone(), Arc::clone(&count));
            spawn(move || {
                yield_now();
                *count.lock().unwrap() += 1;
                drop(part);
            });
        }
        group.wait();
        *count.lock().unwrap()
    });
    assert_eq!(count, 50);
}

#[test]
fn messages_go_back_and_forth() {
    for capacity in [0, 1, 8] {
        let sum = on_one_worker(|| {
            let (to_echo, requests) = channel::bounded::<u64>(capacity);
            let (replies, from_echo) = channel::bounded(capacity);
            let echo = spawn(move || requests.iter().for_each(|n| replies.send(n + 1).unwrap()));
            let sum = (0..200)
                .map(|n| {
                    to_echo.send(n).unwrap();
                    from_echo.recv().unwrap()
                })
                .sum::<u64>();
            drop(to_echo);
            echo.join().unwrap();
            sum
        });
        assert_eq!(sum, (1..=200).sum());
    }
}

#[test]
fn waits_of_fibers_time_out() {
    on_one_worker(|| {
        let moment = Duration::from_millis(1);
        let (sender, receiver) = channel::bounded(0);
        assert_eq!(sender.send_timeout(1, moment), Err(SendTimeoutError::Timeout(1)));
        assert_eq!(receiver.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
        let mutex = Mutex::new(());
        let (_guard, result) = Condvar::new().wait_timeout(mutex.lock().unwrap(), moment).unwrap();
        assert!(result.timed_out());
    });
}

#[test]
fn a_panic_in_a_fiber_poisons_and_wakes() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(()));
        let theirs = Arc::clone(&mutex);
        let holder = spawn(move || {
            let _guard = theirs.lock().unwrap();
            yield_now();
            panic!("with the guard");
        });
        while mutex.try_lock().is_ok() {
            yield_now();
        }
        // The holder is inside, and panics while this fiber waits.
        assert!(mutex.lock().is_err());
        assert!(holder.join().is_err());
    });
}

#[test]
fn channels_connect_fibers_of_several_runtimes_and_threads() {
    let (sender, requests) = channel::bounded(4);
    let (replies, receiver) = channel::bounded(4);
    let runtimes = [(); 2].map(|()| Runtime::builder().workers(1).build().unwrap());
    std::thread::scope(|scope| {
        for runtime in &runtimes {
            for _ in 0..4 {
                let (requests, replies) = (requests.clone(), replies.clone());
                runtime.spawn(move || requests.iter().for_each(|n: u64| replies.send(n * 2).unwrap()));
            }
        }
        drop((requests, replies));
        scope.spawn(move || (0..500).for_each(|n| sender.send(n).unwrap()));
        assert_eq!(receiver.iter().sum::<u64>(), (0..500).map(|n| n * 2).sum());
    });
}
