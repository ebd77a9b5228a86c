//! Parking, sleeping and yielding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[abaca::test]
fn unpark_before_park_is_remembered_once() {
    let me = abaca::current();
    me.unpark();
    me.unpark();
    abaca::park();
    let began = Instant::now();
    abaca::park_timeout(Duration::from_millis(2));
    assert!(began.elapsed() >= Duration::from_millis(2), "two unparks make one token");
}

#[abaca::test]
fn unpark_wakes_a_parked_fiber_from_a_fiber_and_from_a_thread() {
    let handle = abaca::spawn(|| {
        abaca::park();
        abaca::park();
    });
    let fiber = handle.fiber();
    abaca::yield_now();
    fiber.unpark();
    abaca::yield_now();
    let thread = std::thread::spawn(move || {
        while !handle.is_finished() {
            handle.fiber().unpark();
            std::thread::yield_now();
        }
        handle.join().unwrap();
    });
    super::join::yield_until(|| thread.is_finished());
    thread.join().unwrap();
}

#[abaca::test]
fn unpark_races_with_park_and_no_wake_up_is_lost() {
    const ROUNDS: usize = 20_000;
    let turns = Arc::new(AtomicUsize::new(0));
    let waiter = abaca::spawn({
        let turns = Arc::clone(&turns);
        move || {
            for round in 0..ROUNDS {
                while turns.load(SeqCst) <= round {
                    abaca::park();
                }
            }
        }
    });
    let fiber = waiter.fiber();
    let thread = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            turns.fetch_add(1, SeqCst);
            fiber.unpark();
        }
    });
    waiter.join().unwrap();
    thread.join().unwrap();
}

#[abaca::test]
fn unpark_after_the_end_does_nothing() {
    let handle = abaca::spawn(|| ());
    let fiber = handle.fiber();
    handle.join().unwrap();
    fiber.unpark();
    assert_eq!(fiber.clone().id(), fiber.id());
}

#[abaca::test]
fn park_timeout_races_with_unpark() {
    let woken = Arc::new(AtomicBool::new(false));
    for _ in 0..300 {
        let handle = abaca::spawn(|| abaca::park_timeout(Duration::from_micros(100)));
        let fiber = handle.fiber();
        let thread = std::thread::spawn(move || fiber.unpark());
        handle.join().unwrap();
        thread.join().unwrap();
        woken.store(true, SeqCst);
    }
    assert!(woken.load(SeqCst));
}

#[abaca::test]
fn sleeps_are_never_early_and_end_in_order() {
    let order = Arc::new(abaca::sync::Mutex::new(Vec::new()));
    let handles: Vec<_> = [30_u64, 10, 20, 1]
        .into_iter()
        .map(|millis| {
            let order = Arc::clone(&order);
            abaca::spawn(move || {
                let began = Instant::now();
                abaca::sleep(Duration::from_millis(millis));
                assert!(began.elapsed() >= Duration::from_millis(millis));
                order.lock().unwrap().push(millis);
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    assert_eq!(order.lock().unwrap().len(), 4);
    abaca::sleep(Duration::ZERO);
    abaca::fiber::sleep_until(Instant::now());
}

#[abaca::test]
fn many_sleepers_all_wake() {
    let handles: Vec<_> = (0..10_000_u64)
        .map(|n| abaca::spawn(move || abaca::sleep(Duration::from_micros(n % 5_000))))
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

#[abaca::test]
fn yielding_lets_sleepers_and_new_fibers_run() {
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let done = Arc::clone(&done);
        abaca::spawn(move || {
            abaca::sleep(Duration::from_millis(1));
            done.fetch_add(1, SeqCst);
        });
    }
    super::join::yield_until(|| done.load(SeqCst) == 10);
}

#[test]
fn parking_and_sleeping_work_on_a_plain_thread() {
    let me = abaca::current();
    me.unpark();
    abaca::park();
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("plain".into()).spawn(move || {
        let me = abaca::current();
        assert_eq!(me.name(), Some("plain"));
        assert_eq!(me.id(), abaca::current().id());
        sender.send(me).unwrap();
        abaca::park();
        abaca::sleep(Duration::from_micros(10));
        abaca::yield_now();
    });
    receiver.recv().unwrap().unpark();
    thread.unwrap().join().unwrap();
    let began = Instant::now();
    abaca::park_timeout(Duration::from_millis(1));
    assert!(began.elapsed() >= Duration::from_millis(1));
}
