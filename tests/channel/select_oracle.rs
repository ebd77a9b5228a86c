//! Any sequence of selects that do not wait has crossbeam's results.

use std::time::Duration;

use proptest::prelude::*;

/// An operation, as the number of a channel and whether it sends.
type Listed = (usize, bool);

#[derive(Clone, Debug)]
enum Step {
    TrySelect(Vec<Listed>),
    SelectNow(Vec<Listed>),
    Ready(Vec<Listed>),
    TrySend(usize),
    TryReceive(usize),
    Measure(usize),
    DropSender(usize),
    DropReceiver(usize),
}

const CHANNELS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let list = || prop::collection::vec((0..CHANNELS, any::<bool>()), 0..5);
    prop_oneof![
        6 => list().prop_map(TrySelect),
        2 => list().prop_map(SelectNow),
        4 => list().prop_map(Ready),
        6 => (0..CHANNELS).prop_map(TrySend),
        4 => (0..CHANNELS).prop_map(TryReceive),
        2 => (0..CHANNELS).prop_map(Measure),
        1 => (0..CHANNELS).prop_map(DropSender),
        1 => (0..CHANNELS).prop_map(DropReceiver),
    ]
}

/// Runs `steps` on biased selects of `$channel` and returns the result of each.
macro_rules! transcript {
    ($channel:ident, $capacities:expr, $steps:expr) => {{
        let (mut senders, mut receivers): (Vec<_>, Vec<_>) = ($capacities.iter())
            .map(|capacity| match capacity {
                Some(capacity) => $channel::bounded::<usize>(*capacity),
                None => $channel::unbounded::<usize>(),
            })
            .map(|(sender, receiver)| (Some(sender), Some(receiver)))
            .unzip();
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            let listed = |list: &[Listed]| {
                let mut select = $channel::Select::new_biased();
                for (channel, sends) in list {
                    if *sends {
                        senders[*channel].as_ref().map(|sender| select.send(sender));
                    } else {
                        receivers[*channel].as_ref().map(|receiver| select.recv(receiver));
                    }
                }
                // The listed ends, less those that were dropped.
                let there = |(channel, sends): &&Listed| {
                    if *sends { senders[*channel].is_some() } else { receivers[*channel].is_some() }
                };
                (select, list.iter().filter(there).copied().collect::<Vec<_>>())
            };
            let complete = |operation: $channel::SelectedOperation<'_>, list: &[Listed]| {
                let index = operation.index();
                let (channel, sends) = list[index];
                let end = if sends {
                    format!("{:?}", operation.send(senders[channel].as_ref().unwrap(), n))
                } else {
                    format!("{:?}", operation.recv(receivers[channel].as_ref().unwrap()))
                };
                format!("{index} {end}")
            };
            said.push(match step {
                Step::TrySelect(list) => {
                    let (mut select, list) = listed(list);
                    select.try_select().map_or_else(|error| error.to_string(), |done| complete(done, &list))
                }
                Step::SelectNow(list) => {
                    let (mut select, list) = listed(list);
                    let done = select.select_timeout(Duration::ZERO);
                    done.map_or_else(|error| error.to_string(), |done| complete(done, &list))
                }
                Step::Ready(list) => format!("{:?}", listed(list).0.try_ready()),
                Step::TrySend(channel) => {
                    format!("{:?}", senders[*channel].as_ref().map(|sender| sender.try_send(n)))
                }
                Step::TryReceive(channel) => {
                    format!("{:?}", receivers[*channel].as_ref().map(|receiver| receiver.try_recv()))
                }
                // Without receivers crossbeam's bounded channel counts messages that it has dropped.
                Step::Measure(channel) => match &receivers[*channel] {
                    Some(end) => {
                        format!("{:?}", (end.len(), end.is_empty(), end.is_full(), end.capacity()))
                    }
                    None => String::new(),
                },
                Step::DropSender(channel) => format!("{}", senders[*channel].take().is_some()),
                Step::DropReceiver(channel) => format!("{}", receivers[*channel].take().is_some()),
            });
        }
        said
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn selects_have_crossbeams_results(
        capacities in prop::collection::vec(prop_oneof![Just(None), (0..3_usize).prop_map(Some)], CHANNELS),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        use abaca::channel;
        let ours = transcript!(channel, capacities, steps);
        let theirs = transcript!(crossbeam_channel, capacities, steps);
        // crossbeam's `Debug` puts some of its errors' names into quotes.
        let plain = |said: Vec<String>| said.into_iter().map(|said| said.replace('"', "")).collect::<Vec<_>>();
        prop_assert_eq!(plain(ours), plain(theirs));
    }
}
