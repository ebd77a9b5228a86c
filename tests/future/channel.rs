//! Messages between async tasks, fibers and threads.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use abaca::channel::{self, Receiver, Sender};
use abaca::future::block_on;

use super::{Counter, poll, tokio_runtime};

const MESSAGES: u32 = 10_000;

fn flavors() -> [(Sender<u32>, Receiver<u32>); 3] {
    [channel::bounded(0), channel::bounded(4), channel::unbounded()]
}

#[test]
fn fibers_send_to_a_tokio_task() {
    let tokio = tokio_runtime();
    abaca::run(|| {
        for (sender, receiver) in flavors() {
            let task = tokio.spawn(async move {
                let mut all = Vec::new();
                while let Ok(n) = receiver.recv_async().await {
                    all.push(n);
                }
                all
            });
            let fiber = abaca::spawn(move || (0..MESSAGES).for_each(|n| sender.send(n).unwrap()));
            assert!(block_on(task).unwrap().into_iter().eq(0..MESSAGES));
            fiber.join().unwrap();
        }
    });
}

#[test]
fn a_tokio_task_sends_to_fibers() {
    let tokio = tokio_runtime();
    abaca::run(|| {
        for (sender, receiver) in flavors() {
            tokio.spawn(async move {
                for n in 0..MESSAGES {
                    sender.send_async(n).await.unwrap();
                }
            });
            assert!(receiver.iter().eq(0..MESSAGES));
        }
    });
}

#[test]
fn tasks_and_threads_share_both_ends() {
    let tokio = tokio_runtime();
    for (sender, receiver) in flavors() {
        let theirs = sender.clone();
        tokio.spawn(async move {
            for n in 0..MESSAGES {
                theirs.send_async(n).await.unwrap();
            }
        });
        let thread = std::thread::spawn(move || (0..MESSAGES).for_each(|n| sender.send(n).unwrap()));
        let theirs = receiver.clone();
        let task = tokio.spawn(async move {
            let mut sum = 0_u64;
            while let Ok(n) = theirs.recv_async().await {
                sum += u64::from(n);
            }
            sum
        });
        let mine: u64 = receiver.iter().map(u64::from).sum();
        let all = mine + tokio.block_on(task).unwrap();
        assert_eq!(all, u64::from(MESSAGES) * u64::from(MESSAGES - 1));
        thread.join().unwrap();
    }
}

#[test]
fn a_waiting_future_is_woken_once_and_by_a_disconnection_too() {
    for (sender, receiver) in flavors() {
        let counter = Arc::new(Counter::default());
        let mut future = pin!(receiver.recv_async());
        assert!(poll(future.as_mut(), &counter).is_pending());
        assert!(poll(future.as_mut(), &counter).is_pending());
        sender.try_send(5).unwrap();
        assert_eq!(counter.wakes(), 1);
        assert_eq!(poll(future.as_mut(), &counter), Poll::Ready(Ok(5)));

        let mut future = pin!(receiver.recv_async());
        assert!(poll(future.as_mut(), &counter).is_pending());
        drop(sender);
        assert_eq!(counter.wakes(), 2);
        assert!(matches!(poll(future.as_mut(), &counter), Poll::Ready(Err(_))));
        assert!(matches!(poll(pin!(receiver.recv_async()), &counter), Poll::Ready(Err(_))));
    }
}

#[test]
fn a_waiting_send_is_done_when_its_message_is_taken_and_gets_it_back_on_disconnection() {
    for capacity in 0..2 {
        let (sender, receiver) = channel::bounded(capacity);
        (0..capacity).for_each(|_| sender.send(0).unwrap());
        let counter = Arc::new(Counter::default());
        let mut future = pin!(sender.send_async(1));
        assert!(poll(future.as_mut(), &counter).is_pending());
        assert_eq!(receiver.try_recv(), Ok(if capacity == 0 { 1 } else { 0 }));
        assert_eq!(counter.wakes(), 1);
        assert_eq!(poll(future.as_mut(), &counter), Poll::Ready(Ok(())));

        let mut future = pin!(sender.send_async(2));
        assert!(poll(future.as_mut(), &counter).is_pending());
        drop(receiver);
        assert_eq!(poll(future.as_mut(), &counter).map_err(|error| error.into_inner()), Poll::Ready(Err(2)));
    }
}

#[test]
fn a_select_sends_to_a_task_and_receives_from_one() {
    let tokio = tokio_runtime();
    let ((to, from_fiber), (to_fiber, from)) = (channel::bounded(0), channel::bounded(0));
    let task = tokio.spawn(async move {
        for _ in 0..1000 {
            let n: u32 = from_fiber.recv_async().await.unwrap();
            to_fiber.send_async(n + 1).await.unwrap();
        }
    });
    abaca::run(move || {
        for n in 0..1000_u32 {
            channel::select! {
                send(to, n) -> sent => sent.unwrap(),
            }
            channel::select! {
                recv(from) -> got => assert_eq!(got, Ok(n + 1)),
            }
        }
    });
    tokio.block_on(task).unwrap();
}
