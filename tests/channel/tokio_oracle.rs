//! Any sequence of operations that do not wait has tokio's results.

use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Once {
    Send,
    TryReceive,
    Close,
    Look,
    DropSender,
    DropReceiver,
}

fn once() -> impl Strategy<Value = Once> {
    use Once::*;
    prop_oneof![Just(Send), Just(TryReceive), Just(Close), Just(Look), Just(DropSender), Just(DropReceiver)]
}

macro_rules! once_transcript {
    ($channel:path, $steps:expr) => {{
        use $channel as oneshot;
        let (sender, receiver) = oneshot::channel::<usize>();
        let (mut sender, mut receiver) = (Some(sender), Some(receiver));
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            said.push(match step {
                Once::Send => format!("{:?}", sender.take().map(|sender| sender.send(n))),
                Once::TryReceive => format!("{:?}", receiver.as_mut().map(|receiver| receiver.try_recv())),
                Once::Close => format!("{:?}", receiver.as_mut().map(|receiver| receiver.close())),
                Once::Look => format!(
                    "{:?} {:?}",
                    sender.as_ref().map(|sender| sender.is_closed()),
                    receiver.as_ref().map(|receiver| (receiver.is_empty(), receiver.is_terminated())),
                ),
                Once::DropSender => format!("{}", sender.take().is_some()),
                Once::DropReceiver => format!("{}", receiver.take().is_some()),
            });
        }
        said
    }};
}

#[derive(Clone, Copy, Debug)]
enum Cast {
    Send,
    TryReceive(usize),
    Subscribe,
    Resubscribe(usize),
    Look(usize),
    CloneSender,
    DropSender,
    DropReceiver(usize),
}

fn cast() -> impl Strategy<Value = Cast> {
    use Cast::*;
    let which = || 0..8_usize;
    prop_oneof![
        8 => Just(Send),
        8 => which().prop_map(TryReceive),
        2 => Just(Subscribe),
        1 => which().prop_map(Resubscribe),
        4 => which().prop_map(Look),
        1 => Just(CloneSender),
        1 => Just(DropSender),
        2 => which().prop_map(DropReceiver),
    ]
}

macro_rules! cast_transcript {
    ($channel:path, $capacity:expr, $steps:expr) => {{
        use $channel as broadcast;
        let (sender, receiver) = broadcast::channel::<usize>($capacity);
        let (mut senders, mut receivers) = (vec![sender], vec![receiver]);
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            let count = receivers.len().max(1);
            said.push(match step {
                Cast::Send => format!("{:?}", senders.last().map(|sender| sender.send(n))),
                Cast::TryReceive(which) => {
                    format!("{:?}", receivers.get_mut(which % count).map(|receiver| receiver.try_recv()))
                }
                Cast::Subscribe => {
                    receivers.extend(senders.last().map(|sender| sender.subscribe()));
                    String::new()
                }
                Cast::Resubscribe(which) => {
                    receivers.extend(receivers.get(which % count).map(|receiver| receiver.resubscribe()));
                    String::new()
                }
                Cast::Look(which) => format!(
                    "{:?} {:?}",
                    senders.last().map(|end| (
                        end.len(),
                        end.is_empty(),
                        end.receiver_count(),
                        end.strong_count()
                    )),
                    receivers.get(which % count).map(|end| (end.len(), end.is_empty(), end.is_closed())),
                ),
                Cast::CloneSender => {
                    senders.extend(senders.last().cloned());
                    String::new()
                }
                Cast::DropSender => format!("{}", senders.pop().is_some()),
                Cast::DropReceiver(which) => {
                    let is_there = !receivers.is_empty();
                    is_there.then(|| receivers.remove(which % count));
                    format!("{is_there}")
                }
            });
        }
        said
    }};
}

#[derive(Clone, Copy, Debug)]
enum Seen {
    Send,
    Modify(bool),
    Replace,
    Borrow,
    Update,
    HasChanged,
    ChangedIfReady,
    MarkChanged,
    MarkUnchanged,
    Subscribe,
    Clone,
    DropSender,
    DropReceiver,
}

fn seen() -> impl Strategy<Value = Seen> {
    use Seen::*;
    prop_oneof![
        4 => Just(Send),
        2 => any::<bool>().prop_map(Modify),
        1 => Just(Replace),
        3 => Just(Borrow),
        3 => Just(Update),
        3 => Just(HasChanged),
        2 => Just(ChangedIfReady),
        1 => Just(MarkChanged),
        1 => Just(MarkUnchanged),
        1 => Just(Subscribe),
        1 => Just(Clone),
        1 => Just(DropSender),
        1 => Just(DropReceiver),
    ]
}

/// `$changed` waits for a change that has happened already.
macro_rules! seen_transcript {
    ($channel:path, $steps:expr, $changed:expr) => {{
        use $channel as watch;
        let (sender, receiver) = watch::channel::<usize>(0);
        let (mut sender, mut receivers) = (Some(sender), vec![receiver]);
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            let receiver = receivers.last_mut();
            said.push(match step {
                Seen::Send => {
                    format!("{:?}", sender.as_ref().map(|sender| sender.send(n).map_err(|error| error.0)))
                }
                Seen::Modify(tell) => format!(
                    "{:?}",
                    sender.as_ref().map(|sender| sender.send_if_modified(|value| {
                        *value += 1;
                        *tell
                    }))
                ),
                Seen::Replace => format!("{:?}", sender.as_ref().map(|sender| sender.send_replace(n))),
                Seen::Borrow => {
                    format!(
                        "{:?}",
                        receiver.map(|receiver| (*receiver.borrow(), receiver.borrow().has_changed()))
                    )
                }
                Seen::Update => format!(
                    "{:?}",
                    receiver.map(|receiver| {
                        let value = receiver.borrow_and_update();
                        (*value, value.has_changed())
                    })
                ),
                Seen::HasChanged => format!(
                    "{:?} {:?}",
                    receiver.map(|receiver| receiver.has_changed().ok()),
                    sender.as_ref().map(|sender| (sender.is_closed(), sender.receiver_count())),
                ),
                Seen::ChangedIfReady => match receiver {
                    Some(receiver) if receiver.has_changed().unwrap_or(true) => {
                        format!("{}", $changed(receiver))
                    }
                    _ => String::new(),
                },
                Seen::MarkChanged => format!("{:?}", receiver.map(|receiver| receiver.mark_changed())),
                Seen::MarkUnchanged => format!("{:?}", receiver.map(|receiver| receiver.mark_unchanged())),
                Seen::Subscribe => {
                    receivers.extend(sender.as_ref().map(|sender| sender.subscribe()));
                    String::new()
                }
                Seen::Clone => {
                    receivers.extend(receivers.last().cloned());
                    String::new()
                }
                Seen::DropSender => format!("{}", sender.take().is_some()),
                Seen::DropReceiver => format!("{}", receivers.pop().is_some()),
            });
        }
        said
    }};
}

/// The result of a future that does not wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_oneshot_has_tokios_results(steps in prop::collection::vec(once(), 0..10)) {
        let ours = once_transcript!(abaca::channel::oneshot, steps);
        let theirs = once_transcript!(tokio::sync::oneshot, steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_broadcast_has_tokios_results(capacity in 1..6_usize, steps in prop::collection::vec(cast(), 0..60)) {
        let ours = cast_transcript!(abaca::channel::broadcast, capacity, steps);
        let theirs = cast_transcript!(tokio::sync::broadcast, capacity, steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_watch_has_tokios_results(steps in prop::collection::vec(seen(), 0..60)) {
        let ours = seen_transcript!(abaca::channel::watch, steps, |receiver: &mut watch::Receiver<usize>| {
            receiver.changed().is_ok()
        });
        let theirs = seen_transcript!(tokio::sync::watch, steps, |receiver: &mut watch::Receiver<usize>| {
            now(receiver.changed()).is_ok()
        });
        prop_assert_eq!(ours, theirs);
    }
}
