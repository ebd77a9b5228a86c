//! `channel::watch`: the last value, and when it changes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::channel::watch::{self, Sender};
use abaca::{Cancelled, Runtime, spawn, yield_now};

#[test]
fn every_receiver_sees_the_last_value() {
    let (sender, receiver) = watch::channel(0);
    std::thread::scope(|threads| {
        for n in 0..4 {
            let mut receiver = receiver.clone();
            let follow = move || {
                let mut last = 0;
                while receiver.changed().is_ok() {
                    let value = *receiver.borrow_and_update();
                    assert!(value >= last);
                    last = value;
                }
                assert_eq!(last, 1000);
            };
            match n % 2 {
                0 => drop(threads.spawn(follow)),
                _ => drop(threads.spawn(|| abaca::run(follow))),
            }
        }
        (1..=1000).for_each(|n| sender.send(n).unwrap());
        drop(sender);
    });
    assert_eq!(*receiver.borrow(), 1000);
}

#[test]
fn a_receiver_knows_which_values_it_has_seen() {
    let (sender, mut receiver) = watch::channel(1);
    assert!(!receiver.has_changed().unwrap() && !receiver.borrow().has_changed());
    sender.send(2).unwrap();
    assert!(receiver.borrow().has_changed() && receiver.has_changed().unwrap());
    assert!(receiver.borrow_and_update().has_changed());
    assert!(!receiver.borrow_and_update().has_changed());
    receiver.mark_changed();
    assert!(receiver.changed().is_ok());
    sender.send_modify(|value| *value += 1);
    receiver.mark_unchanged();
    assert!(!receiver.has_changed().unwrap());
    assert!(!sender.send_if_modified(|value| *value > 9) && !receiver.has_changed().unwrap());
    assert_eq!((sender.send_replace(7), *sender.borrow()), (3, 7));
    drop(sender);
    assert!(receiver.has_changed().is_err() && receiver.is_closed());
    assert!(receiver.changed().is_ok() && receiver.changed().is_err());
    assert_eq!(*receiver.borrow(), 7);
}

#[test]
fn wait_for_returns_when_its_condition_holds() {
    let (sender, mut receiver) = watch::channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || (1..=100).for_each(|n| sender.send(n).unwrap()));
        assert!(*receiver.wait_for(|n| *n >= 50).unwrap() >= 50);
        // The last value is checked, although the sender is gone.
        assert_eq!(*receiver.wait_for(|n| *n == 100).unwrap(), 100);
        assert!(receiver.wait_for(|n| *n == 101).is_err());
    });
}

#[test]
fn a_sender_waits_until_no_value_is_borrowed() {
    let (sender, receiver) = watch::channel(0);
    let is_looking = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let first = receiver.borrow();
        // Readers are preferred: a reader may read again.
        let second = receiver.borrow();
        scope.spawn(|| {
            sender.send(1).unwrap();
            assert!(!is_looking.load(Ordering::Relaxed));
        });
        assert_eq!((*first, *receiver.borrow()), (0, 0));
        drop(first);
        is_looking.store(false, Ordering::Relaxed);
        drop(second);
    });
    assert_eq!(*receiver.borrow(), 1);
}

#[test]
fn fibers_of_one_worker_borrow_and_change_in_turn() {
    let (sender, receiver) = watch::channel(0);
    Runtime::builder().workers(1).build().unwrap().run(|| {
        abaca::scope(|scope| {
            let value = receiver.borrow();
            scope.spawn(|| sender.send(1).unwrap());
            yield_now();
            assert_eq!((*value, *receiver.borrow()), (0, 0));
        });
    });
    assert_eq!(*receiver.borrow(), 1);
}

#[test]
fn a_modify_that_panics_wakes_no_receiver_and_leaves_the_value_unlocked() {
    let (sender, mut receiver) = watch::channel(0);
    let change = || {
        sender.send_modify(|value| {
            *value = 5;
            resume_unwind(Box::new(()));
        });
    };
    assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
    assert!(!receiver.has_changed().unwrap());
    assert_eq!(*receiver.borrow(), 5);
    assert!(
        catch_unwind(AssertUnwindSafe(|| receiver.wait_for(|_| resume_unwind(Box::new(()))).is_ok()))
            .is_err()
    );
    sender.send(6).unwrap();
}

#[test]
fn a_sender_waits_for_the_last_receiver_to_leave() {
    let (sender, receiver) = watch::channel(0);
    let other = sender.subscribe();
    assert!(other.same_channel(&receiver) && sender.same_channel(&sender.clone()));
    assert_eq!((sender.receiver_count(), sender.sender_count()), (2, 1));
    let thread = std::thread::spawn(move || drop((receiver, other)));
    sender.closed();
    assert!(sender.is_closed());
    assert_eq!(sender.send(1).unwrap_err().0, 1);
    assert_eq!(sender.send_replace(2), 0);
    assert_eq!(*sender.subscribe().borrow(), 2);
    assert_eq!(*Sender::<u32>::default().borrow(), 0);
    thread.join().unwrap();
}

#[test]
fn a_cancelled_wait_counts_no_value_as_seen() {
    let (sender, receiver) = watch::channel(0);
    let mut theirs = receiver.clone();
    let fiber = Runtime::builder().workers(1).build().unwrap().run(|| {
        let fiber = spawn(move || theirs.changed().is_ok());
        yield_now();
        fiber.cancel();
        fiber
    });
    let Err(payload) = fiber.join() else { panic!("the fiber was to be cancelled") };
    assert!(payload.is::<Cancelled>());
    assert_eq!(sender.receiver_count(), 1);
    sender.send(1).unwrap();
    drop(receiver);
}
