//! Every interleaving of senders with receivers: each message reaches all receivers, and they learn that the last sender
//! has left.

use loom::thread;

use super::{Receiver, Sender, channel, error::RecvError};

fn check(
    send: impl Fn(Sender<u8>) + Copy + Sync + Send + 'static,
    receive: impl Fn(Receiver<u8>) + Copy + Sync + Send + 'static,
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let (sender, receiver) = channel(2);
        let thread = thread::spawn(move || send(sender));
        receive(receiver);
        thread.join().unwrap();
    });
}

#[test]
fn what_was_sent_is_received_before_the_end() {
    check(
        |sender| {
            let _ = sender.send(1);
            let _ = sender.send(2);
        },
        |mut receiver| {
            assert_eq!(receiver.recv(), Ok(1));
            assert_eq!(receiver.recv(), Ok(2));
            assert_eq!(receiver.recv(), Err(RecvError::Closed));
        },
    );
}

#[test]
fn both_receivers_get_the_message() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let (sender, mut receiver) = channel(1);
        let mut other = sender.subscribe();
        let thread = thread::spawn(move || assert_eq!(other.recv(), Ok(1)));
        assert_eq!(sender.send(1).ok(), Some(2));
        assert_eq!(receiver.recv(), Ok(1));
        thread.join().unwrap();
    });
}

#[test]
fn an_upgrade_and_the_last_senders_leaving_agree() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let (sender, mut receiver) = channel(1);
        let weak = sender.downgrade();
        let thread = thread::spawn(move || {
            let upgraded = weak.upgrade();
            upgraded.map(|sender| sender.send(1)).is_some()
        });
        drop(sender);
        let received = receiver.recv();
        let upgraded = thread.join().unwrap();
        assert_eq!(received, if upgraded { Ok(1) } else { Err(RecvError::Closed) });
    });
}

#[test]
fn a_receiver_that_leaves_ends_the_senders_wait() {
    check(
        |sender| {
            sender.closed();
            assert!(sender.send(1).is_err());
        },
        drop,
    );
}
