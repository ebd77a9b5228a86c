//! `channel` beside crossbeam's.

use std::time::Duration;

use proptest::prelude::*;

use abaca::channel;

use super::everywhere;

#[derive(Clone, Copy, Debug)]
enum Step {
    TrySend,
    SendTimeout,
    TryReceive,
    ReceiveTimeout,
    Drain,
    Measure,
    CloneSender,
    CloneReceiver,
    DropSender,
    DropReceiver,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        8 => Just(TrySend),
        2 => Just(SendTimeout),
        6 => Just(TryReceive),
        2 => Just(ReceiveTimeout),
        1 => Just(Drain),
        3 => Just(Measure),
        1 => Just(CloneSender),
        1 => Just(CloneReceiver),
        1 => Just(DropSender),
        1 => Just(DropReceiver),
    ]
}

const NOW: Duration = Duration::ZERO;

/// Runs `steps` on the channel of `$channel` and returns the result of each.
macro_rules! transcript {
    ($channel:ident, $capacity:expr, $steps:expr) => {{
        let (sender, receiver) = match $capacity {
            Some(capacity) => $channel::bounded::<usize>(capacity),
            None => $channel::unbounded::<usize>(),
        };
        let (mut senders, mut receivers) = (vec![sender], vec![receiver]);
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            let (sender, receiver) = (senders.last(), receivers.last());
            said.push(match step {
                Step::TrySend => format!("{:?}", sender.map(|sender| sender.try_send(n))),
                Step::SendTimeout => {
                    let error = sender.and_then(|sender| sender.send_timeout(n, NOW).err());
                    format!("{:?}", error.map(|error| (error.to_string(), error.into_inner())))
                }
                Step::TryReceive => format!("{:?}", receiver.map(|receiver| receiver.try_recv())),
                Step::ReceiveTimeout => format!("{:?}", receiver.map(|receiver| receiver.recv_timeout(NOW))),
                Step::Drain => {
                    format!("{:?}", receiver.map(|receiver| receiver.try_iter().collect::<Vec<_>>()))
                }
                // Without receivers crossbeam's bounded channel counts messages that it has dropped.
                Step::Measure if receivers.is_empty() => String::new(),
                Step::Measure => format!(
                    "{:?} {:?}",
                    sender.map(|end| (end.len(), end.is_empty(), end.is_full(), end.capacity())),
                    receiver.map(|end| (end.len(), end.is_empty(), end.is_full(), end.capacity())),
                ),
                Step::CloneSender => {
                    senders.extend(senders.last().cloned());
                    String::new()
                }
                Step::CloneReceiver => {
                    receivers.extend(receivers.last().cloned());
                    String::new()
                }
                Step::DropSender => format!("{}", senders.pop().is_some()),
                Step::DropReceiver => format!("{}", receivers.pop().is_some()),
            });
        }
        said
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_channel_has_crossbeams_results(
        capacity in prop_oneof![Just(None), (0..5_usize).prop_map(Some)],
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let ours = everywhere(|| transcript!(channel, capacity, steps));
        let theirs = transcript!(crossbeam_channel, capacity, steps);
        // crossbeam's `Debug` puts some of its errors' names into quotes.
        let plain = |said: Vec<String>| said.into_iter().map(|said| said.replace('"', "")).collect::<Vec<_>>();
        prop_assert_eq!(plain(ours), plain(theirs));
    }
}
