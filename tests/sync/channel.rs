//! Properties of channels that need more than one thread, or a clock.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use abaca::channel::{
    self, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError,
};

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn its_ends_are_send_and_sync() {
    fn check<T: Send + Sync + Clone + UnwindSafe + RefUnwindSafe>(_: &T) {}
    let (sender, receiver) = channel::unbounded::<std::cell::Cell<u8>>();
    check(&sender);
    check(&receiver);
}

#[test]
fn messages_keep_their_order() {
    for capacity in [0, 1, 3, 128] {
        let (sender, receiver) = channel::bounded(capacity);
        std::thread::scope(|scope| {
            scope.spawn(move || (0..2_000).for_each(|n| sender.send(n).unwrap()));
            assert!(receiver.iter().eq(0..2_000), "capacity {capacity}");
        });
    }
}

#[test]
fn each_message_goes_to_one_receiver() {
    for make in [|| channel::bounded(0), || channel::bounded(2), channel::unbounded] {
        let (sender, receiver): (Sender<u64>, Receiver<u64>) = make();
        let (totals, total) = channel::unbounded::<u64>();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (sender, receiver, totals) = (sender.clone(), receiver.clone(), totals.clone());
                scope.spawn(move || (0..1_000).for_each(|n| sender.send(thread * 1_000 + n).unwrap()));
                scope.spawn(move || totals.send(receiver.iter().sum()).unwrap());
            }
            drop((sender, receiver, totals));
        });
        assert_eq!(total.iter().sum::<u64>(), (0..4_000).sum());
    }
}

#[test]
fn a_full_channel_refuses_messages_until_there_is_room() {
    let (sender, receiver) = channel::bounded(2);
    assert!(sender.is_empty() && !sender.is_full());
    sender.send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!((sender.len(), sender.is_full(), receiver.is_full()), (2, true, true));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(sender.send_timeout(3, MOMENT), Err(SendTimeoutError::Timeout(3)));
    assert_eq!(receiver.recv(), Ok(1));
    sender.try_send(3).unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn without_capacity_a_message_needs_a_receiver() {
    let (sender, receiver) = channel::bounded(0);
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(sender.send_deadline(1, Instant::now()), Err(SendTimeoutError::Timeout(1)));
    assert!(sender.is_empty() && sender.is_full() && receiver.is_empty() && receiver.is_full());
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(receiver.recv(), Ok(2)));
        while sender.try_send(2).is_err() {
            std::thread::yield_now();
        }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(3).unwrap());
        while receiver.try_recv() != Ok(3) {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_sender_that_waited_keeps_its_place_in_line() {
    let (sender, receiver) = channel::bounded(1);
    sender.send(0).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(1).unwrap());
        // The first message is taken when the second one's sender waits, which then moves up into the buffer.
        while receiver.recv_timeout(MOMENT) != Ok(0) {}
        assert_eq!(receiver.recv(), Ok(1));
    });
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_timed_receive_ends_when_its_time_is_up() {
    let (sender, receiver) = channel::bounded::<u8>(1);
    assert_eq!(receiver.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
    assert_eq!(receiver.recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
    sender.send(1).unwrap();
    assert_eq!(receiver.recv_deadline(Instant::now()), Ok(1));
    sender.send(2).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(2));
}

#[test]
fn sending_to_an_unbounded_channel_never_waits() {
    let (sender, receiver) = channel::unbounded();
    (0..100_000).for_each(|n| sender.try_send(n).unwrap());
    assert_eq!((sender.len(), sender.is_full(), sender.capacity()), (100_000, false, None));
    assert!(receiver.try_iter().eq(0..100_000));
}

#[test]
fn same_channel_compares_the_channels_of_two_ends() {
    let (first, second) = (channel::bounded::<u8>(7), channel::bounded::<u8>(7));
    assert!(first.0.same_channel(&first.0.clone()) && !first.0.same_channel(&second.0));
    assert!(first.1.same_channel(&first.1.clone()) && !first.1.same_channel(&second.1));
    assert_eq!((first.0.capacity(), second.1.capacity()), (Some(7), Some(7)));
}
