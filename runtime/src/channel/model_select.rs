//! Every interleaving of selects: with each other, with plain operations, with disconnection and with deadlines.
//!
//! Each model ends, which proves that nobody sleeps forever, and counts its messages.

use std::time::Instant;

use loom::sync::Arc;
use loom::thread;

use super::case::{Case, Purpose, Target};
use super::internal::AnyCase;
use super::select_loop::{self, SelectMode};
use super::shared::{Block, Channel, Refusal};

const FOREVER: Block = Block::Until(None);

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// A wait that may time out at any moment.
fn may_time_out() -> Block {
    Block::Until(Some(Instant::now()))
}

fn channel(capacity: usize) -> Arc<Channel<u8>> {
    Arc::new(Channel::new(Some(capacity)))
}

fn receiving(channel: &Channel<u8>) -> Case<'_, u8> {
    Case::new(Target::Receiver(channel))
}

fn sending(channel: &Channel<u8>) -> Case<'_, u8> {
    Case::new(Target::Sender(channel))
}

fn select<const N: usize>(cases: [&Case<'_, u8>; N], block: Block) -> Option<usize> {
    let mode = SelectMode { is_biased: true, block, purpose: Purpose::Select };
    select_loop::run(&cases.map(AnyCase::from)[..], mode, &mut [(0, 0); N])
}

/// Sends 1 to the first channel or receives from the second. `Err` holds what was received.
fn swap(to: &Channel<u8>, from: &Channel<u8>, block: Block) -> Option<Result<(), u8>> {
    let (send, receive) = (sending(to), receiving(from));
    Some(match select([&send, &receive], block)? {
        0 => send.sent(1).map_err(|_| 0),
        _ => Err(receive.received().expect("nobody is gone")),
    })
}

#[test]
fn two_selects_that_face_each_other_on_two_channels_meet_once() {
    check(3, || {
        let (one, other) = (channel(0), channel(0));
        let theirs = (Arc::clone(&one), Arc::clone(&other));
        let thread = thread::spawn(move || swap(&theirs.1, &theirs.0, FOREVER));
        let mine = swap(&one, &other, FOREVER);
        let theirs = thread.join().unwrap();
        assert!(matches!((mine, theirs), (Some(Ok(())), Some(Err(1))) | (Some(Err(1)), Some(Ok(())))));
    });
}

#[test]
fn two_selects_that_may_time_out_meet_or_neither_does() {
    check(3, || {
        let (one, other) = (channel(0), channel(0));
        let theirs = (Arc::clone(&one), Arc::clone(&other));
        let thread = thread::spawn(move || swap(&theirs.1, &theirs.0, may_time_out()));
        let mine = swap(&one, &other, may_time_out());
        let theirs = thread.join().unwrap();
        assert!(matches!(
            (mine, theirs),
            (Some(Ok(())), Some(Err(1))) | (Some(Err(1)), Some(Ok(()))) | (None, None)
        ));
    });
}

#[test]
fn a_select_and_a_receive_share_two_messages() {
    for capacity in 0..2 {
        check(2, move || {
            let (one, other) = (channel(capacity), channel(capacity));
            let theirs = Arc::clone(&one);
            let receiver = thread::spawn(move || theirs.receive(FOREVER).unwrap());
            let theirs = Arc::clone(&one);
            let sender = thread::spawn(move || {
                theirs.send(1, FOREVER).unwrap();
                theirs.send(2, FOREVER).unwrap();
            });
            let cases = (receiving(&one), receiving(&other));
            assert_eq!(select([&cases.0, &cases.1], FOREVER), Some(0));
            let selected = cases.0.received().unwrap();
            assert_eq!(selected + receiver.join().unwrap(), 3);
            sender.join().unwrap();
        });
    }
}

#[test]
fn a_selecting_sender_reaches_a_receiver_that_may_time_out() {
    for capacity in 0..2 {
        check(3, move || {
            let (one, other) = (channel(capacity), channel(0));
            let theirs = Arc::clone(&one);
            let thread = thread::spawn(move || theirs.receive(may_time_out()));
            let cases = (sending(&one), receiving(&other));
            let selected = select([&cases.0, &cases.1], may_time_out());
            if selected.is_some() {
                cases.0.sent(1).unwrap();
            }
            let received = thread.join().unwrap();
            assert!(received.is_ok() == selected.is_some() || (capacity > 0 && selected.is_some()));
        });
    }
}

#[test]
fn after_an_abandoned_handoff_the_receiver_waits_for_another_message() {
    check(3, || {
        let one = channel(0);
        let theirs = Arc::clone(&one);
        let thread = thread::spawn(move || theirs.receive(FOREVER));
        let case = sending(&one);
        assert_eq!(select([&case], FOREVER), Some(0));
        drop(case);
        one.send(2, FOREVER).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(2));
    });
}

#[test]
fn an_abandoned_permit_goes_to_the_next_sender() {
    check(3, || {
        let one = channel(1);
        let case = sending(&one);
        assert_eq!(select([&case], FOREVER), Some(0));
        let theirs = Arc::clone(&one);
        let thread = thread::spawn(move || theirs.send(2, FOREVER).unwrap());
        drop(case);
        assert_eq!(one.receive(FOREVER), Ok(2));
        thread.join().unwrap();
    });
}

#[test]
fn a_select_is_told_that_the_other_side_is_gone() {
    check(3, || {
        let (one, other) = (channel(0), channel(1));
        let theirs = Arc::clone(&one);
        let thread = thread::spawn(move || theirs.remove_sender());
        let cases = (receiving(&other), receiving(&one));
        assert_eq!(select([&cases.0, &cases.1], FOREVER), Some(1));
        assert!(cases.1.received().is_err());
        thread.join().unwrap();
    });
}

#[test]
fn a_select_that_times_out_has_received_nothing() {
    for capacity in 0..2 {
        check(3, move || {
            let (one, other) = (channel(capacity), channel(0));
            let theirs = Arc::clone(&one);
            let thread = thread::spawn(move || theirs.send(1, may_time_out()).is_ok());
            let cases = (receiving(&one), receiving(&other));
            let selected = select([&cases.0, &cases.1], may_time_out());
            let sent = thread.join().unwrap();
            let left = one.receive(Block::Never);
            match selected {
                Some(_) => {
                    assert_eq!((sent, left, cases.0.received()), (true, Err(Refusal::WouldBlock), Ok(1)))
                }
                None => assert!(sent == left.is_ok() && (capacity > 0 || !sent)),
            }
        });
    }
}

#[test]
fn ready_returns_when_a_message_comes() {
    for capacity in 0..2 {
        check(3, move || {
            let (one, other) = (channel(capacity), channel(0));
            let theirs = Arc::clone(&one);
            let thread = thread::spawn(move || theirs.send(1, FOREVER).unwrap());
            let cases = (receiving(&other), receiving(&one));
            let mode = SelectMode { is_biased: true, block: FOREVER, purpose: Purpose::Watch };
            let found =
                select_loop::run(&[&cases.0, &cases.1].map(AnyCase::from)[..], mode, &mut [(0, 0); 2]);
            assert_eq!(found, Some(1));
            assert_eq!(one.receive(Block::Never), Ok(1));
            thread.join().unwrap();
        });
    }
}
