//! Futures of a channel that are dropped: no message is lost, none comes twice, and the order holds.

use std::sync::Arc;
use std::time::Duration;

use abaca::channel;
use abaca::future::block_on;

use super::{Counter, poll, tokio_runtime};

#[test]
fn a_message_that_was_handed_over_is_received_first_by_the_next() {
    for capacity in [Some(0), Some(1), Some(3), None] {
        let (sender, receiver) = capacity.map_or_else(channel::unbounded, channel::bounded);
        let counter = Arc::new(Counter::default());
        let mut future = Box::pin(receiver.recv_async());
        assert!(poll(future.as_mut(), &counter).is_pending());
        sender.try_send(0).unwrap();
        // Behind the message that was handed over, as many as there is room for.
        let others = capacity.unwrap_or(5);
        (1..=others).for_each(|n| sender.try_send(n).unwrap());
        drop(future);
        assert_eq!(receiver.len(), others + 1);
        if capacity.is_some() {
            assert!(sender.try_send(99).unwrap_err().is_full());
        }
        assert!(receiver.try_iter().eq(0..=others));
        assert_eq!(Arc::strong_count(&counter), 1);
    }
}

#[test]
fn a_message_that_was_handed_over_goes_to_the_next_receiver() {
    let (sender, receiver) = channel::bounded(1);
    let counters = [(); 2].map(|()| Arc::new(Counter::default()));
    let mut first = Box::pin(receiver.recv_async());
    let mut second = Box::pin(receiver.recv_async());
    assert!(poll(first.as_mut(), &counters[0]).is_pending());
    assert!(poll(second.as_mut(), &counters[1]).is_pending());
    sender.send(5).unwrap();
    drop(first);
    assert_eq!(counters.each_ref().map(|counter| counter.wakes()), [1, 1]);
    assert_eq!(poll(second.as_mut(), &counters[1]), std::task::Poll::Ready(Ok(5)));
}

#[test]
fn waiting_senders_send_only_into_free_slots() {
    let (sender, receiver) = channel::bounded(1);
    let counter = Arc::new(Counter::default());
    let mut handed = Box::pin(receiver.recv_async());
    assert!(poll(handed.as_mut(), &counter).is_pending());
    sender.send(0).unwrap();
    sender.send(1).unwrap();
    let mut waiting = Box::pin(sender.send_async(2));
    assert!(poll(waiting.as_mut(), &counter).is_pending());
    drop(handed);
    assert_eq!(receiver.try_recv(), Ok(0));
    assert!(poll(waiting.as_mut(), &counter).is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(poll(waiting.as_mut(), &counter).is_ready());
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_dropped_future_leaves_the_list() {
    let (sender, receiver) = channel::bounded::<Arc<()>>(0);
    let counter = Arc::new(Counter::default());
    let mut future = Box::pin(receiver.recv_async());
    assert!(poll(future.as_mut(), &counter).is_pending());
    drop(future);
    let message = Arc::new(());
    assert!(sender.try_send(Arc::clone(&message)).is_err());
    let mut future = Box::pin(sender.send_async(Arc::clone(&message)));
    assert!(poll(future.as_mut(), &counter).is_pending());
    assert_eq!(Arc::strong_count(&message), 2);
    drop(future);
    assert_eq!(Arc::strong_count(&message), 1);
    assert!(receiver.try_recv().is_err());
    assert_eq!((counter.wakes(), Arc::strong_count(&counter)), (0, 1));
}

#[test]
fn receivers_that_give_up_lose_nothing() {
    const MESSAGES: u32 = 5000;
    let tokio = tokio_runtime();
    for capacity in [0, 4] {
        let (sender, receiver) = channel::bounded(capacity);
        let task = tokio.spawn(async move {
            for n in 0..MESSAGES {
                sender.send_async(n).await.unwrap();
            }
        });
        abaca::run(move || {
            let counter = Arc::new(Counter::default());
            for n in 0..MESSAGES {
                // Polled and dropped, whether or not it was handed a message meanwhile.
                let mut future = Box::pin(receiver.recv_async());
                let got = match poll(future.as_mut(), &counter) {
                    std::task::Poll::Ready(got) => got,
                    std::task::Poll::Pending => {
                        drop(future);
                        block_on(receiver.recv_async())
                    }
                };
                assert_eq!(got, Ok(n));
            }
            assert!(receiver.recv().is_err());
        });
        tokio.block_on(task).unwrap();
    }
}

#[test]
fn senders_that_give_up_send_all_or_nothing() {
    const TRIES: u32 = 5000;
    let (sender, receiver) = channel::bounded(1);
    let thread = std::thread::spawn(move || receiver.iter().count());
    let counter = Arc::new(Counter::default());
    // Each that is still alive has not been received.
    let message = Arc::new(());
    let mut sent = 0;
    for _ in 0..TRIES {
        let mut future = Box::pin(sender.send_async(Arc::clone(&message)));
        let is_ready = poll(future.as_mut(), &counter).is_ready();
        let is_ready = is_ready || poll(future.as_mut(), &counter).is_ready();
        sent += usize::from(is_ready);
        drop(future);
    }
    drop(sender);
    // One that was taken between the last poll and the drop was sent as well.
    let received = thread.join().unwrap();
    assert!(received >= sent && received <= TRIES as usize);
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn a_cancelled_fiber_in_a_receive_loses_nothing() {
    let (sender, receiver) = channel::bounded(4);
    abaca_tests::on_one_worker(move || {
        for n in 0..100 {
            let theirs = receiver.clone();
            let fiber = abaca_tests::begun(move || block_on(theirs.recv_async()));
            // The message and the cancellation come before the fiber runs again.
            sender.send(n).unwrap();
            fiber.cancel();
            let got = fiber.join().map_or_else(|_cancelled| receiver.try_recv().ok(), |got| got.ok());
            assert_eq!(got, Some(n));
        }
        let late = abaca::time::timeout(Duration::from_millis(1), || block_on(receiver.recv_async()));
        assert!(late.is_err());
        sender.send(100).unwrap();
        assert_eq!(receiver.try_recv(), Ok(100));
    });
}
