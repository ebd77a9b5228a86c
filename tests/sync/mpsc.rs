//! std's `mpsc` on abaca's channels: the same answers as std's, and parking instead of blocking.

use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use abaca::sync::mpsc::{self, RecvTimeoutError, TryRecvError, TrySendError};
use abaca::{Runtime, spawn, yield_now};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Send(u8),
    Receive,
    ReceiveInTime,
    Drain,
    DropSender,
    DropReceiver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<u8>().prop_map(Step::Send),
        4 => Just(Step::Receive),
        1 => Just(Step::ReceiveInTime),
        1 => Just(Step::Drain),
        1 => Just(Step::DropSender),
        1 => Just(Step::DropReceiver),
    ]
}

proptest! {
    #[test]
    fn it_does_what_stds_does(bound in 1..4_usize, steps in prop::collection::vec(step(), 0..30)) {
        let (our_sender, our_receiver) = mpsc::sync_channel(bound);
        let (their_sender, their_receiver) = std_mpsc::sync_channel(bound);
        let (mut senders, mut receivers) = (Some((our_sender, their_sender)), Some((our_receiver, their_receiver)));
        for step in steps {
            match (step, &senders, &receivers) {
                (Step::Send(message), Some((ours, theirs)), _) => {
                    prop_assert_eq!(ours.try_send(message), theirs.try_send(message));
                }
                (Step::Receive, _, Some((ours, theirs))) => {
                    prop_assert_eq!(ours.try_recv(), theirs.try_recv());
                }
                (Step::ReceiveInTime, _, Some((ours, theirs))) => {
                    let time = Duration::from_micros(1);
                    prop_assert_eq!(ours.recv_timeout(time), theirs.recv_timeout(time));
                }
                (Step::Drain, _, Some((ours, theirs))) => {
                    prop_assert!(ours.try_iter().eq(theirs.try_iter()));
                }
                (Step::DropSender, ..) => senders = None,
                (Step::DropReceiver, ..) => receivers = None,
                _ => {}
            }
        }
    }
}

#[test]
fn senders_and_receiver_park_and_meet() {
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let (sender, receiver) = mpsc::sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        let fibers: Vec<_> = (0..5)
            .map(|number| {
                let sender = sender.clone();
                spawn(move || sender.send(number))
            })
            .collect();
        yield_now();
        drop(sender);
        let mut received: Vec<i32> = receiver.into_iter().collect();
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 3, 4]);
        assert!(fibers.into_iter().all(|fiber| fiber.join().unwrap().is_ok()));
    });
}

#[test]
fn a_channel_without_a_limit_keeps_everything_until_the_receiver_goes() {
    let (sender, receiver) = mpsc::channel();
    let other = sender.clone();
    let thread = std::thread::spawn(move || (0..1000).for_each(|number| other.send(number).unwrap()));
    thread.join().unwrap();
    assert_eq!(receiver.iter().take(1000).sum::<i32>(), 499_500);
    drop(receiver);
    assert_eq!(sender.send(7).unwrap_err().0, 7);
    assert_eq!(format!("{sender:?}"), format!("{:?}", std_mpsc::channel::<i32>().0));
}
