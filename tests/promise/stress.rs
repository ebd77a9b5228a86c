//! Promises between fibers and threads that resolve, wait, cancel and merge: every resolution is seen once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::promise::{self, Promise};

const ROUNDS: usize = 2_000;

#[test]
fn fibers_and_threads_resolve_and_wait_at_once() {
    abaca::run(|| {
        let (sender, receiver) = abaca::channel::unbounded::<abaca::promise::Resolver<usize>>();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let receiver = receiver.clone();
                std::thread::spawn(move || receiver.iter().for_each(|resolver| resolver.resolve(1)))
            })
            .collect();
        drop(receiver);
        let called = Arc::new(AtomicUsize::new(0));
        let sums: Vec<_> = (0..8)
            .map(|_| {
                let (sender, called) = (sender.clone(), Arc::clone(&called));
                abaca::spawn(move || {
                    (0..ROUNDS / 8).fold(0, |sum, round| {
                        let (promise, resolver) = Promise::pending();
                        let next = promise.map({
                            let called = Arc::clone(&called);
                            move |n| called.fetch_add(n, SeqCst)
                        });
                        let end = next.bind(move |_| promise);
                        sender.send(resolver).unwrap();
                        if round % 3 == 0 {
                            while end.wait_timeout(Duration::from_micros(10)).is_none() {}
                        }
                        sum + end.wait().unwrap()
                    })
                })
            })
            .collect();
        drop(sender);
        let sum: usize = sums.into_iter().map(|fiber| fiber.join().unwrap()).sum();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((sum, called.load(SeqCst)), (ROUNDS, ROUNDS));
    });
}

#[test]
fn a_resolution_and_a_cancellation_that_race_agree_on_one_outcome() {
    abaca::run(|| {
        for _ in 0..ROUNDS {
            let (task, resolver) = Promise::task();
            let last = task.bind(|n: u32| Promise::resolved(n + 1));
            let cancelled = last.clone();
            let canceller = abaca::spawn(move || cancelled.cancel());
            resolver.resolve(1);
            let outcomes = (task.wait(), last.wait());
            canceller.join().unwrap();
            match outcomes {
                (Ok(1), Ok(2)) => {}
                (Err(task), Err(last)) => assert!(task.is_canceled() && last.is_canceled()),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn promises_that_are_merged_from_two_sides_form_no_circle() {
    abaca::run(|| {
        for _ in 0..ROUNDS {
            let (gate_a, open_a) = Promise::pending();
            let (gate_b, open_b) = Promise::pending();
            let (slot_a, slot_b) = (Promise::<Promise<u32>>::pending(), Promise::<Promise<u32>>::pending());
            let a = gate_a.bind(move |()| slot_a.0.wait().unwrap());
            let b = gate_b.bind(move |()| slot_b.0.wait().unwrap());
            slot_a.1.resolve(b.clone());
            slot_b.1.resolve(a.clone());
            let one = abaca::spawn(move || open_a.resolve(()));
            let thread = std::thread::spawn(move || open_b.resolve(()));
            assert!(a.wait().unwrap_err().is_broken() && b.wait().unwrap_err().is_broken());
            one.join().unwrap();
            thread.join().unwrap();
        }
    });
}

#[test]
fn losers_of_many_races_are_all_cancelled() {
    abaca::run(|| {
        for round in 0..ROUNDS / 20 {
            let runners: Vec<_> = (0..5)
                .map(|n| {
                    promise::spawn(move || {
                        if n != round % 5 {
                            abaca::park();
                        }
                        n
                    })
                })
                .collect();
            assert_eq!(promise::pick(runners.clone()).wait().unwrap(), round % 5);
            for (n, runner) in runners.into_iter().enumerate() {
                assert_eq!(runner.wait().is_ok(), n == round % 5);
            }
        }
    });
}
