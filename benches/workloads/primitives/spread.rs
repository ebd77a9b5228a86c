//! Channels in which every receiver sees what was sent: all messages of a broadcast, the newest value of a watch.
//!
//! Of the peers with blocking calls only abaca has them, so their bodies are written on its own channels.

use std::time::Instant;

use abaca::channel::{broadcast, watch};

use super::{Primitives, Sample, Size, Workload};
use crate::model::{Receiver, Sender};

/// One producer, four consumers, each of which receives every message; per message received.
pub(super) struct Broadcast;

/// Two tasks that answer each other's newest value, there and back.
pub(super) struct Watch;

const CONSUMERS: u64 = 4;
const CAPACITY: usize = 128;
/// After so many messages the producer waits until all have received them: nobody lags, so nothing is lost.
const BATCH: u64 = 64;

const SIZE: Size = Size { quick: BATCH, start: 100 * BATCH, most: u64::MAX, threads: None };

fn sample(began: Instant, received: u64, amount: u64) -> Sample {
    assert_eq!(received, CONSUMERS * amount);
    Sample::per_operation(began.elapsed(), received)
}

impl Workload for Broadcast {
    const NAME: &'static str = "broadcast 1x4";
    const SIZE: Size = SIZE;

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_SPREAD
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let (sender, _) = broadcast::channel(CAPACITY);
        let (tell, told) = M::channel(CONSUMERS as usize);
        let began = Instant::now();
        let tasks: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                let (mut receiver, tell) = (sender.subscribe(), tell.clone());
                M::spawn(move || {
                    for number in 0..amount {
                        assert_eq!(receiver.recv(), Ok(number));
                        if number % BATCH == BATCH - 1 {
                            tell.put(number);
                        }
                    }
                    amount
                })
            })
            .collect();
        for number in 0..amount {
            sender.send(number).expect("the receivers are there");
            if number % BATCH == BATCH - 1 {
                (0..CONSUMERS).for_each(|_| assert_eq!(told.take(), Some(number)));
            }
        }
        let received = tasks.into_iter().map(M::join).sum();
        sample(began, received, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let (sender, _) = tokio::sync::broadcast::channel(CAPACITY);
        let (tell, mut told) = tokio::sync::mpsc::channel(CONSUMERS as usize);
        let began = Instant::now();
        let tasks: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                let (mut receiver, tell) = (sender.subscribe(), tell.clone());
                tokio::spawn(async move {
                    for number in 0..amount {
                        assert_eq!(receiver.recv().await, Ok(number));
                        if number % BATCH == BATCH - 1 {
                            tell.send(number).await.expect("the producer waits");
                        }
                    }
                    amount
                })
            })
            .collect();
        for number in 0..amount {
            sender.send(number).expect("the receivers are there");
            if number % BATCH == BATCH - 1 {
                for _ in 0..CONSUMERS {
                    assert_eq!(told.recv().await, Some(number));
                }
            }
        }
        let mut received = 0;
        for task in tasks {
            received += task.await.expect("the task does not panic");
        }
        sample(began, received, amount)
    }
}

impl Workload for Watch {
    const NAME: &'static str = "watch there and back";
    const SIZE: Size = Size { quick: 50, start: 10_000, most: u64::MAX, threads: None };

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_SPREAD
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let ((ask, mut asked), (answer, mut answered)) = (watch::channel(0), watch::channel(0));
        let server = M::spawn(move || {
            while asked.changed().is_ok() {
                let number = *asked.borrow_and_update();
                answer.send(number).expect("somebody waits");
            }
            0
        });
        let began = Instant::now();
        for number in 1..=amount {
            ask.send(number).expect("the server is there");
            answered.changed().expect("the server is there");
            assert_eq!(*answered.borrow_and_update(), number);
        }
        let elapsed = began.elapsed();
        drop(ask);
        M::join(server);
        Sample::per_operation(elapsed, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let ((ask, mut asked), (answer, mut answered)) =
            (tokio::sync::watch::channel(0), tokio::sync::watch::channel(0));
        let server = tokio::spawn(async move {
            while asked.changed().await.is_ok() {
                let number = *asked.borrow_and_update();
                answer.send(number).expect("somebody waits");
            }
        });
        let began = Instant::now();
        for number in 1..=amount {
            ask.send(number).expect("the server is there");
            answered.changed().await.expect("the server is there");
            assert_eq!(*answered.borrow_and_update(), number);
        }
        let elapsed = began.elapsed();
        drop(ask);
        server.await.expect("the task does not panic");
        Sample::per_operation(elapsed, amount)
    }
}
