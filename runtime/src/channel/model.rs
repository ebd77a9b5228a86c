//! Every interleaving of a few operations: each message arrives once, and nobody sleeps forever.

use std::time::Instant;

use loom::sync::Arc;
use loom::thread;

use super::shared::{Block, Channel, Refusal};

const FOREVER: Block = Block::Until(None);

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A wait that may time out at any moment.
fn may_time_out() -> Block {
    Block::Until(Some(Instant::now()))
}

fn channel(capacity: usize) -> (Arc<Channel<u8>>, Arc<Channel<u8>>) {
    let channel = Arc::new(Channel::new(Some(capacity)));
    (Arc::clone(&channel), channel)
}

#[test]
fn two_messages_arrive_in_order() {
    for capacity in 0..2 {
        check(move || {
            let (sender, receiver) = channel(capacity);
            let thread = thread::spawn(move || {
                sender.send(1, FOREVER).unwrap();
                sender.send(2, FOREVER).unwrap();
                sender.remove_sender();
            });
            assert_eq!(receiver.receive(FOREVER), Ok(1));
            assert_eq!(receiver.receive(FOREVER), Ok(2));
            assert_eq!(receiver.receive(FOREVER), Err(Refusal::Disconnected));
            thread.join().unwrap();
        });
    }
}

#[test]
fn two_senders_reach_one_receiver() {
    for capacity in 0..2 {
        check(move || {
            let (sender, receiver) = channel(capacity);
            let other = Arc::clone(&sender);
            let first = thread::spawn(move || sender.send(1, FOREVER).unwrap());
            let second = thread::spawn(move || other.send(2, FOREVER).unwrap());
            let sum = receiver.receive(FOREVER).unwrap() + receiver.receive(FOREVER).unwrap();
            assert_eq!(sum, 3);
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}

#[test]
fn a_send_that_times_out_has_not_sent() {
    for capacity in 0..2 {
        check(move || {
            let (sender, receiver) = channel(capacity);
            let thread = thread::spawn(move || {
                let sent = sender.send(1, may_time_out()).is_ok();
                sender.remove_sender();
                sent
            });
            let received = receiver.receive(FOREVER);
            assert_eq!(received.is_ok(), thread.join().unwrap());
        });
    }
}

#[test]
fn a_receive_that_times_out_has_not_received() {
    for capacity in 0..2 {
        check(move || {
            let (sender, receiver) = channel(capacity);
            let thread = thread::spawn(move || {
                let received = receiver.receive(may_time_out());
                receiver.remove_receiver();
                received.is_ok()
            });
            let sent = sender.send(1, FOREVER).is_ok();
            let received = thread.join().unwrap();
            // Only a buffer can accept a message that nobody receives.
            assert!(sent == received || (sent && capacity > 0));
        });
    }
}

#[test]
fn a_waiting_sender_is_told_that_the_receiver_is_gone() {
    check(|| {
        let (sender, receiver) = channel(0);
        let thread = thread::spawn(move || sender.send(1, FOREVER));
        receiver.remove_receiver();
        assert_eq!(thread.join().unwrap(), Err((Refusal::Disconnected, 1)));
    });
}
