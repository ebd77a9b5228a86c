//! Every interleaving of a change with a receiver that reads, waits or leaves: the last value is seen, and nobody sleeps
//! forever.

use loom::thread;

use super::{Receiver, Sender, channel};

fn check(
    send: impl Fn(Sender<u8>) + Copy + Sync + Send + 'static,
    receive: impl Fn(Receiver<u8>) + Copy + Sync + Send + 'static,
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let (sender, receiver) = channel(0);
        let thread = thread::spawn(move || send(sender));
        receive(receiver);
        thread.join().unwrap();
    });
}

#[test]
fn a_change_ends_the_wait_and_is_seen() {
    check(
        |sender| drop(sender.send(1)),
        |mut receiver| {
            assert!(receiver.changed().is_ok());
            assert_eq!(*receiver.borrow(), 1);
        },
    );
}

#[test]
fn the_last_of_two_changes_is_not_missed() {
    check(
        |sender| {
            let _ = sender.send(1);
            let _ = sender.send(2);
        },
        |mut receiver| {
            let mut before = 0;
            while before < 2 {
                assert!(receiver.changed().is_ok(), "a change is told before the sender's leaving");
                let now = *receiver.borrow_and_update();
                assert!(now > before);
                before = now;
            }
            assert!(receiver.changed().is_err());
        },
    );
}

#[test]
fn reading_and_changing_exclude_each_other() {
    check(
        |sender| sender.send_modify(|value| *value += 1),
        |receiver| {
            let value = receiver.borrow();
            let (before, has_changed) = (*value, value.has_changed());
            thread::yield_now();
            assert_eq!(*value, before);
            assert_eq!(has_changed, before == 1);
        },
    );
}

#[test]
fn a_sender_that_leaves_ends_the_wait() {
    check(drop, |mut receiver| assert!(receiver.changed().is_err()));
}

#[test]
fn receivers_that_leave_end_the_senders_wait() {
    check(
        |sender| {
            sender.closed();
            assert!(sender.send(1).is_err());
        },
        |receiver| {
            let other = receiver.clone();
            drop(receiver);
            drop(other);
        },
    );
}
