//! A oneshot channel's receiver as a future.

use std::sync::Arc;
use std::task::Poll;

use abaca::channel::oneshot;

use super::{Counter, poll, tokio_runtime};

#[test]
fn a_message_wakes_the_task_that_polled_last_once() {
    let (sender, receiver) = oneshot::channel();
    let counters = [(); 2].map(|()| Arc::new(Counter::default()));
    let mut future = Box::pin(receiver.into_future());
    for counter in &counters {
        assert!(poll(future.as_mut(), counter).is_pending());
    }
    sender.send(5).unwrap();
    assert_eq!(counters.each_ref().map(|counter| counter.wakes()), [0, 1]);
    assert_eq!(poll(future.as_mut(), &counters[0]), Poll::Ready(Ok(5)));
}

#[test]
fn a_sender_that_leaves_ends_the_wait() {
    let (sender, receiver) = oneshot::channel::<u32>();
    let counter = Arc::new(Counter::default());
    let mut future = Box::pin(receiver.into_future());
    assert!(poll(future.as_mut(), &counter).is_pending());
    drop(sender);
    assert!(matches!(poll(future.as_mut(), &counter), Poll::Ready(Err(_))));
    assert_eq!(counter.wakes(), 1);
}

#[test]
fn a_dropped_future_closes_the_channel() {
    let (sender, receiver) = oneshot::channel();
    let counter = Arc::new(Counter::default());
    let mut future = Box::pin(receiver.into_future());
    assert!(poll(future.as_mut(), &counter).is_pending());
    drop(future);
    assert_eq!(sender.send(5), Err(5));
    assert_eq!((counter.wakes(), Arc::strong_count(&counter)), (0, 1));
}

#[test]
fn a_tokio_task_receives_from_a_fiber() {
    let tokio = tokio_runtime();
    let (sender, receiver) = oneshot::channel();
    let task = tokio.spawn(async move { receiver.await });
    abaca::run(move || sender.send(5).unwrap());
    assert_eq!(tokio.block_on(task).unwrap(), Ok(5));
}

#[test]
fn sends_race_with_polls_and_drops() {
    let (messages, to_send) = abaca::channel::unbounded::<(oneshot::Sender<Arc<()>>, Arc<()>)>();
    let thread = std::thread::spawn(move || {
        for (sender, message) in to_send {
            drop(sender.send(message));
        }
    });
    let message = Arc::new(());
    for round in 0..5000 {
        let (sender, receiver) = oneshot::channel();
        let counter = Arc::new(Counter::default());
        let mut future = Box::pin(receiver.into_future());
        messages.send((sender, Arc::clone(&message))).unwrap();
        for _ in 0..round % 5 {
            if poll(future.as_mut(), &counter).is_ready() {
                break;
            }
        }
    }
    drop(messages);
    thread.join().unwrap();
    assert_eq!(Arc::strong_count(&message), 1);
}
