//! `mpsc` beside std's: channels with a bound, with a bound of 0, and without a bound.

use std::time::Duration;

use proptest::prelude::*;

use super::everywhere;

#[derive(Clone, Copy, Debug)]
enum Step {
    TrySend,
    /// Only where it does not wait.
    Send,
    TryReceive,
    ReceiveInTime,
    /// Only where it does not wait.
    Receive,
    Drain,
    Print,
    CloneSender,
    DropSender,
    DropReceiver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::*;
    let step = prop_oneof![
        6 => Just(TrySend),
        4 => Just(Send),
        4 => Just(TryReceive),
        1 => Just(ReceiveInTime),
        3 => Just(Receive),
        1 => Just(Drain),
        1 => Just(Print),
        1 => Just(CloneSender),
        1 => Just(DropSender),
        1 => Just(DropReceiver),
    ];
    prop::collection::vec(step, 0..40)
}

/// An error in both of its forms.
macro_rules! words {
    ($result:expr) => {{
        let result = $result;
        format!("{result:?} {:?}", result.as_ref().err().map(ToString::to_string))
    }};
}

/// An unbounded channel has no `try_send`, so its `$try_send` is a send.
macro_rules! transcript {
    ($ends:expr, $bound:expr, $steps:expr, $try_send:expr) => {{
        let (sender, receiver) = $ends;
        let (mut senders, mut receiver) = (vec![sender], Some(receiver));
        // The number of messages, and the number for which there is room.
        let (mut len, bound): (usize, usize) = (0, $bound);
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            let sender = senders.last();
            said.push(match (step, sender, &receiver) {
                (Step::TrySend, Some(sender), _) => {
                    let sent = $try_send(sender, n);
                    len += usize::from(sent.is_ok());
                    words!(sent)
                }
                (Step::Send, Some(sender), receiver) if receiver.is_none() || len < bound => {
                    let sent = sender.send(n);
                    len += usize::from(sent.is_ok());
                    words!(sent)
                }
                (Step::TryReceive, _, Some(receiver)) => {
                    let received = receiver.try_recv();
                    len -= usize::from(received.is_ok());
                    words!(received)
                }
                (Step::ReceiveInTime, _, Some(receiver)) => {
                    let received = receiver.recv_timeout(Duration::ZERO);
                    len -= usize::from(received.is_ok());
                    words!(received)
                }
                (Step::Receive, sender, Some(receiver)) if sender.is_none() || len > 0 => {
                    let received = receiver.recv();
                    len -= usize::from(received.is_ok());
                    words!(received)
                }
                (Step::Drain, sender, Some(receiver)) => {
                    len = 0;
                    match sender {
                        Some(_) => format!("{:?}", receiver.try_iter().collect::<Vec<_>>()),
                        None => format!("{:?}", receiver.iter().collect::<Vec<_>>()),
                    }
                }
                (Step::Print, sender, receiver) => format!("{sender:?} {receiver:?}"),
                (Step::CloneSender, ..) => {
                    senders.extend(senders.last().cloned());
                    String::new()
                }
                (Step::DropSender, ..) => format!("{}", senders.pop().is_some()),
                (Step::DropReceiver, ..) => format!("{}", receiver.take().is_some()),
                _ => String::new(),
            });
        }
        drop(senders);
        said.push(format!("{:?}", receiver.map(|receiver| receiver.into_iter().collect::<Vec<_>>())));
        said
    }};
}

macro_rules! bounded {
    ($mpsc:path, $bound:expr, $steps:expr) => {{
        use $mpsc as bounded;
        let ends = bounded::sync_channel::<usize>($bound);
        transcript!(ends, $bound, $steps, |sender: &bounded::SyncSender<usize>, n| sender.try_send(n))
    }};
}

macro_rules! unbounded {
    ($mpsc:path, $steps:expr) => {{
        use $mpsc as unbounded;
        let ends = unbounded::channel::<usize>();
        transcript!(ends, usize::MAX, $steps, |sender: &unbounded::Sender<usize>, n| sender.send(n))
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_bounded_mpsc_channel_has_stds_results(bound in 0..4_usize, steps in steps()) {
        let ours = everywhere(|| bounded!(abaca::sync::mpsc, bound, &steps));
        let theirs = bounded!(std::sync::mpsc, bound, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn an_unbounded_mpsc_channel_has_stds_results(steps in steps()) {
        let ours = everywhere(|| unbounded!(abaca::sync::mpsc, &steps));
        let theirs = unbounded!(std::sync::mpsc, &steps);
        prop_assert_eq!(ours, theirs);
    }
}
