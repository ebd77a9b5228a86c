//! Fibers and threads that cancel each other while they wait for each other: every fiber ends once, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::sync::Mutex;
use abaca::time::timeout;
use abaca::{Runtime, channel};

use super::is_cancelled;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn every_cancelled_fiber_ends_once() {
    let runtime = Runtime::builder().workers(3).build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let mutex = Arc::new(Mutex::new(0_u64));
    let mut spawned = 0;
    for round in 0..300_u64 {
        let fibers: Vec<_> = (0..20)
            .map(|number| {
                let (counted, mutex) = (Counted(Arc::clone(&drops)), Arc::clone(&mutex));
                spawned += 1;
                runtime.spawn(move || {
                    let _counted = counted;
                    for step in 0.. {
                        match (number + step) % 4 {
                            0 => abaca::yield_now(),
                            1 => abaca::park_timeout(Duration::from_micros(50)),
                            2 => drop(abaca::spawn(move || step).join()),
                            _ => *mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1,
                        }
                    }
                })
            })
            .collect();
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        let handles: Vec<_> = fibers.iter().map(|fiber| fiber.fiber()).collect();
        // From two threads and a fiber at once, each fiber several times.
        std::thread::scope(|scope| {
            scope.spawn(|| fibers.iter().for_each(|fiber| fiber.cancel()));
            scope.spawn(|| handles.iter().rev().for_each(|handle| handle.cancel()));
            runtime.run(|| handles.iter().for_each(|handle| handle.cancel()));
        });
        for fiber in fibers {
            assert!(is_cancelled(fiber.join()));
        }
    }
    assert_eq!(drops.load(SeqCst), spawned);
}

#[test]
fn a_message_is_received_or_kept_whatever_is_cancelled() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (sender, receiver) = channel::bounded(2);
    let received = Arc::new(AtomicUsize::new(0));
    let token = CancellationToken::new();
    let receivers: Vec<_> = (0..4)
        .map(|number| {
            let (receiver, received, token) = (receiver.clone(), Arc::clone(&received), token.child_token());
            runtime.spawn(move || {
                while !token.is_cancelled() {
                    let limit = Duration::from_micros(number * 30);
                    let message: Option<usize> =
                        token.run_until_cancelled(|| timeout(limit, || receiver.recv())).and_then(|result| {
                            // Nothing blocks between the receipt and here, so no message is lost to an unwinding.
                            result.ok().and_then(Result::ok)
                        });
                    if message.is_some() {
                        received.fetch_add(1, SeqCst);
                    }
                }
            })
        })
        .collect();
    const MESSAGES: usize = 20_000;
    for message in 0..MESSAGES {
        sender.send(message).unwrap();
    }
    while received.load(SeqCst) + receiver.len() < MESSAGES {
        std::thread::yield_now();
    }
    token.cancel();
    receivers.into_iter().for_each(|fiber| fiber.join().unwrap());
    assert_eq!(received.load(SeqCst) + receiver.len(), MESSAGES);
}
