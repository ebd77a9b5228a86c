//! `channel::broadcast`: every message to every receiver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use abaca::channel::broadcast::{
    self, Receiver, Sender,
    error::{RecvError, RecvTimeoutError, TryRecvError},
};
use abaca::{Cancelled, Runtime, spawn, yield_now};

#[test]
fn every_receiver_gets_every_message_in_order() {
    let (sender, receiver) = broadcast::channel(1024);
    std::thread::scope(|threads| {
        let check = |mut receiver: Receiver<u32>| {
            let received: Vec<_> = std::iter::from_fn(|| receiver.recv().ok()).collect();
            assert_eq!(received, (0..1000).collect::<Vec<_>>());
        };
        let others: Vec<_> = (0..4).map(|_| sender.subscribe()).collect();
        threads.spawn(move || check(receiver));
        threads.spawn(move || {
            abaca::run(|| {
                abaca::scope(|fibers| {
                    for other in others {
                        fibers.spawn(move || check(other));
                    }
                });
            });
        });
        (0..1000).for_each(|n| assert!(sender.send(n).unwrap() > 0));
        drop(sender);
    });
}

#[test]
fn a_receiver_that_lags_is_told_how_many_messages_it_missed() {
    let (sender, mut receiver) = broadcast::channel(2);
    (0..5).for_each(|n| assert_eq!(sender.send(n).unwrap(), 1));
    assert_eq!(receiver.len(), 5);
    assert_eq!(receiver.recv(), Err(RecvError::Lagged(3)));
    assert_eq!((receiver.recv(), receiver.try_recv()), (Ok(3), Ok(4)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_message_is_dropped_when_the_last_receiver_has_passed_it() {
    let message = Arc::new(());
    let (sender, mut first) = broadcast::channel(4);
    let second = first.resubscribe();
    sender.send(Arc::clone(&message)).unwrap();
    drop(first.recv().unwrap());
    assert_eq!((Arc::strong_count(&message), sender.len()), (2, 1));
    drop(second);
    assert_eq!((Arc::strong_count(&message), sender.len(), sender.is_empty()), (1, 0, true));
    // A new receiver does not see it, and overwriting does not need it.
    let mut third = sender.subscribe();
    (0..5).for_each(|_| drop(sender.send(Arc::clone(&message))));
    assert_eq!(third.recv(), Err(RecvError::Lagged(1)));
    drop((first, third));
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn the_last_message_a_receiver_takes_is_not_cloned() {
    struct Single;
    impl Clone for Single {
        fn clone(&self) -> Self {
            panic!("cloned")
        }
    }
    let (sender, mut receiver) = broadcast::channel(1);
    assert!(sender.send(Single).is_ok());
    assert!(receiver.recv().is_ok());
}

#[test]
fn senders_and_receivers_are_counted() {
    let (sender, receiver) = broadcast::channel::<u32>(1);
    let weak = sender.downgrade();
    assert_eq!((sender.strong_count(), sender.weak_count(), sender.receiver_count()), (1, 1, 1));
    let other = weak.upgrade().unwrap();
    assert!(other.same_channel(&sender) && !other.same_channel(&Sender::new(1)));
    assert_eq!((receiver.sender_strong_count(), receiver.sender_weak_count()), (2, 1));
    drop((sender, other));
    assert!(weak.upgrade().is_none() && receiver.is_closed());
    assert!(receiver.same_channel(&receiver.resubscribe()));
}

#[test]
fn a_sender_waits_for_the_last_receiver_to_leave() {
    let (sender, receiver) = broadcast::channel::<u32>(1);
    let other = sender.subscribe();
    let thread = std::thread::spawn(move || drop((receiver, other)));
    sender.closed();
    assert_eq!(sender.send(1).unwrap_err().0, 1);
    thread.join().unwrap();
}

#[test]
fn a_cancelled_receiver_takes_no_message() {
    let (sender, receiver) = broadcast::channel(1);
    let theirs = receiver.resubscribe();
    let fiber = Runtime::builder().workers(1).build().unwrap().run(|| {
        let fiber = spawn(move || {
            let mut theirs = theirs;
            theirs.recv().is_ok()
        });
        yield_now();
        fiber.cancel();
        fiber
    });
    let Err(payload) = fiber.join() else { panic!("the fiber was to be cancelled") };
    assert!(payload.is::<Cancelled>());
    assert_eq!(sender.receiver_count(), 1);
    assert_eq!(sender.send(1).unwrap(), 1);
    drop(receiver);
}

/// A message whose destructor counts, and panics if it `explodes`.
struct Message {
    explodes: bool,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Relaxed);
        assert!(!self.explodes, "the destructor of a message");
    }
}

#[test]
fn a_receiver_is_woken_although_the_destructor_of_an_overwritten_message_panics() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let message = |explodes| Arc::new(Message { explodes, dropped: Arc::clone(&dropped) });
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let (sender, mut fast) = broadcast::channel(1);
        let _slow = sender.subscribe();
        sender.send(message(true)).unwrap_or_else(|_| panic!("two receive"));
        drop(fast.recv().unwrap());
        let waits = spawn(move || fast.recv_timeout(Duration::from_secs(20)).is_ok());
        yield_now();
        assert!(catch_unwind(AssertUnwindSafe(|| sender.send(message(false)).is_ok())).is_err());
        assert!(waits.join().unwrap(), "the receiver was not woken");
    });
    assert_eq!(dropped.load(Relaxed), 2);
}

#[test]
fn a_receiver_that_leaves_passes_every_message_although_their_destructors_panic() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let message = |explodes| Arc::new(Message { explodes, dropped: Arc::clone(&dropped) });
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let (sender, receiver) = broadcast::channel(4);
        for explodes in [true, false, true] {
            sender.send(message(explodes)).unwrap_or_else(|_| panic!("one receives"));
        }
        let sender = Arc::new(sender);
        let closed = spawn({
            let sender = Arc::clone(&sender);
            move || abaca::time::timeout(Duration::from_secs(20), || sender.closed()).is_ok()
        });
        yield_now();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
        assert_eq!((dropped.load(Relaxed), sender.len()), (3, 0));
        assert!(closed.join().unwrap(), "the sender was not woken");
    });
}

#[test]
fn a_capacity_of_zero_panics() {
    assert!(catch_unwind(|| broadcast::channel::<u32>(0)).is_err());
    assert!(catch_unwind(|| broadcast::channel::<u32>(usize::MAX)).is_err());
}

#[test]
fn receivers_that_come_and_go_see_a_rising_sequence() {
    let sender = Sender::new(8);
    std::thread::scope(|scope| {
        for receivers in 1..4 {
            let sender = &sender;
            scope.spawn(move || {
                for round in 0..200 {
                    let mut receivers: Vec<_> = (0..receivers).map(|_| sender.subscribe()).collect();
                    for receiver in &mut receivers {
                        let mut last = 0;
                        for _ in 0..round % 5 {
                            match receiver.recv_timeout(Duration::from_micros(50)) {
                                Ok(n) => {
                                    assert!(n > last);
                                    last = n;
                                }
                                Err(RecvTimeoutError::Closed) => unreachable!("the sender is here"),
                                Err(_) => {}
                            }
                        }
                    }
                }
            });
        }
        (1..5000_u64).for_each(|n| drop(sender.send(n)));
    });
    assert_eq!((sender.receiver_count(), sender.len()), (0, 0));
}
