//! Every interleaving of selects: with each other, with plain operations, with disconnection and with deadlines.
//!
//! Each model ends, which proves that nobody sleeps forever, and counts its messages.

use std::time::Instant;

use loom::sync::Arc;
use loom::thread;

use super::arm::{Arm, Purpose, Target};
use super::choice::{self, Rule};
use super::exchange::{Exchange, Patience, Refusal};
use super::internal::AnyArm;

const FOREVER: Patience = Patience::Until(None);

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// A patience that may end at any moment.
fn some() -> Patience {
    Patience::Until(Some(Instant::now()))
}

fn exchange(capacity: usize) -> Arc<Exchange<u8>> {
    Arc::new(Exchange::new(Some(capacity)))
}

fn receiving(exchange: &Exchange<u8>) -> Arm<'_, u8> {
    Arm::new(Target::Receiver(exchange))
}

fn sending(exchange: &Exchange<u8>) -> Arm<'_, u8> {
    Arm::new(Target::Sender(exchange))
}

fn select<const N: usize>(arms: [&Arm<'_, u8>; N], patience: Patience) -> Option<usize> {
    let rule = Rule { is_biased: true, patience, purpose: Purpose::Select };
    choice::choose(&arms.map(AnyArm::from)[..], rule, &mut [(0, 0); N])
}

/// Sends 1 to the first channel or receives from the second; what was received.
fn swap(to: &Exchange<u8>, from: &Exchange<u8>, patience: Patience) -> Option<Result<(), u8>> {
    let (send, receive) = (sending(to), receiving(from));
    Some(match select([&send, &receive], patience)? {
        0 => send.sent(1).map_err(|_| 0),
        _ => Err(receive.received().expect("nobody is gone")),
    })
}

#[test]
fn two_selects_that_face_each_other_on_two_channels_meet_once() {
    check(3, || {
        let (one, other) = (exchange(0), exchange(0));
        let theirs = (Arc::clone(&one), Arc::clone(&other));
        let thread = thread::spawn(move || swap(&theirs.1, &theirs.0, FOREVER));
        let mine = swap(&one, &other, FOREVER);
        let theirs = thread.join().unwrap();
        assert!(matches!((mine, theirs), (Some(Ok(())), Some(Err(1))) | (Some(Err(1)), Some(Ok(())))));
    });
}

#[test]
fn two_selects_of_which_one_may_give_up_meet_or_do_not() {
    check(3, || {
        let (one, other) = (exchange(0), exchange(0));
        let theirs = (Arc::clone(&one), Arc::clone(&other));
        let thread = thread::spawn(move || swap(&theirs.1, &theirs.0, some()));
        let mine = swap(&one, &other, some());
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
            let (one, other) = (exchange(capacity), exchange(capacity));
            let theirs = Arc::clone(&one);
            let receiver = thread::spawn(move || theirs.receive(FOREVER).unwrap());
            let theirs = Arc::clone(&one);
            let sender = thread::spawn(move || {
                theirs.send(1, FOREVER).unwrap();
                theirs.send(2, FOREVER).unwrap();
            });
            let arms = (receiving(&one), receiving(&other));
            assert_eq!(select([&arms.0, &arms.1], FOREVER), Some(0));
            let selected = arms.0.received().unwrap();
            assert_eq!(selected + receiver.join().unwrap(), 3);
            sender.join().unwrap();
        });
    }
}

#[test]
fn a_selecting_sender_reaches_a_receiver_that_may_give_up() {
    for capacity in 0..2 {
        check(3, move || {
            let (one, other) = (exchange(capacity), exchange(0));
            let theirs = Arc::clone(&one);
            let thread = thread::spawn(move || theirs.receive(some()));
            let arms = (sending(&one), receiving(&other));
            let selected = select([&arms.0, &arms.1], some());
            if selected.is_some() {
                arms.0.sent(1).unwrap();
            }
            let received = thread.join().unwrap();
            assert!(received.is_ok() == selected.is_some() || (capacity > 0 && selected.is_some()));
        });
    }
}

#[test]
fn a_promise_that_is_broken_leaves_the_receiver_waiting_for_another() {
    check(3, || {
        let one = exchange(0);
        let theirs = Arc::clone(&one);
        let thread = thread::spawn(move || theirs.receive(FOREVER));
        let arm = sending(&one);
        assert_eq!(select([&arm], FOREVER), Some(0));
        drop(arm);
        one.send(2, FOREVER).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(2));
    });
}

#[test]
fn a_place_that_is_kept_and_given_up_goes_to_the_next() {
    check(3, || {
        let one = exchange(1);
        let arm = sending(&one);
        assert_eq!(select([&arm], FOREVER), Some(0));
        let theirs = Arc::clone(&one);
        let thread = thread::spawn(move || theirs.send(2, FOREVER).unwrap());
        drop(arm);
        assert_eq!(one.receive(FOREVER), Ok(2));
        thread.join().unwrap();
    });
}

#[test]
fn a_select_is_told_that_the_other_side_is_gone() {
    check(3, || {
        let (one, other) = (exchange(0), exchange(1));
        let theirs = Arc::clone(&one);
        let thread = thread::spawn(move || theirs.remove_sender());
        let arms = (receiving(&other), receiving(&one));
        assert_eq!(select([&arms.0, &arms.1], FOREVER), Some(1));
        assert!(arms.1.received().is_err());
        thread.join().unwrap();
    });
}

#[test]
fn a_select_that_times_out_has_received_nothing() {
    for capacity in 0..2 {
        check(3, move || {
            let (one, other) = (exchange(capacity), exchange(0));
            let theirs = Arc::clone(&one);
            let thread = thread::spawn(move || theirs.send(1, some()).is_ok());
            let arms = (receiving(&one), receiving(&other));
            let selected = select([&arms.0, &arms.1], some());
            let sent = thread.join().unwrap();
            let left = one.receive(Patience::None);
            match selected {
                Some(_) => assert_eq!((sent, left, arms.0.received()), (true, Err(Refusal::Unready), Ok(1))),
                None => assert!(sent == left.is_ok() && (capacity > 0 || !sent)),
            }
        });
    }
}

#[test]
fn one_that_watches_sees_a_message_come() {
    for capacity in 0..2 {
        check(3, move || {
            let (one, other) = (exchange(capacity), exchange(0));
            let theirs = Arc::clone(&one);
            let thread = thread::spawn(move || theirs.send(1, FOREVER).unwrap());
            let arms = (receiving(&other), receiving(&one));
            let rule = Rule { is_biased: true, patience: FOREVER, purpose: Purpose::Watch };
            let found = choice::choose(&[&arms.0, &arms.1].map(AnyArm::from)[..], rule, &mut [(0, 0); 2]);
            assert_eq!(found, Some(1));
            assert_eq!(one.receive(Patience::None), Ok(1));
            thread.join().unwrap();
        });
    }
}
