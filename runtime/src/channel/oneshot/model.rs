//! Every interleaving of the two ends: the message arrives or comes back, is dropped once, and nobody sleeps forever.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::{Receiver, Sender, channel};

/// The message. A count of 1 at the end shows that it was dropped.
type Message = Arc<()>;

fn check(
    send: impl Fn(Sender<Message>, Message) + Copy + Sync + Send + 'static,
    receive: impl Fn(Receiver<Message>) + Copy + Sync + Send + 'static,
) {
    loom::model(move || {
        let message = Arc::new(());
        let (sender, receiver) = channel();
        let theirs = Arc::clone(&message);
        let thread = thread::spawn(move || send(sender, theirs));
        receive(receiver);
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&message), 1);
    });
}

fn send(sender: Sender<Message>, message: Message) {
    let _ = sender.send(message);
}

#[test]
fn a_message_is_received() {
    check(send, |receiver| assert!(receiver.recv().is_ok()));
}

#[test]
fn a_sender_that_leaves_ends_the_wait() {
    check(|sender, _| drop(sender), |receiver| assert!(receiver.recv().is_err()));
}

#[test]
fn a_receiver_that_leaves_frees_or_is_freed() {
    check(send, drop);
    check(|sender, _| drop(sender), drop);
}

#[test]
fn a_wait_that_times_out_leaves_the_channel_whole() {
    for leaves in [false, true] {
        let sends = move |sender: Sender<Message>, message| {
            if !leaves {
                assert!(sender.send(message).is_ok());
            }
        };
        check(sends, move |mut receiver| {
            let late = receiver.recv_timeout(Duration::ZERO).is_err();
            if late {
                assert_eq!(receiver.recv().is_ok(), !leaves);
            }
        });
    }
}

#[test]
fn a_wait_that_times_out_may_be_the_last_thing() {
    check(send, |mut receiver| drop(receiver.recv_timeout(Duration::ZERO)));
}

#[test]
fn closing_decides_whether_the_message_arrives() {
    check(
        |sender, message| drop(sender.send(message)),
        |mut receiver| {
            receiver.close();
            let received = receiver.try_recv().is_ok();
            assert!(receiver.try_recv().is_err() || !received);
        },
    );
}

#[test]
fn a_sender_that_waits_is_told_that_nobody_receives() {
    check(|mut sender, _| sender.closed(), drop);
    check(
        |mut sender, message| {
            sender.closed();
            assert!(sender.send(message).is_err());
        },
        |mut receiver| receiver.close(),
    );
}
