//! Messages through channels: there and back one at a time, and in streams.

use std::time::Instant;

use super::{Model, Sample, Size, Workload};
use crate::model::{Receiver, Sender};

const CAPACITY: usize = 128;
const SIDES: u64 = 4;

/// There and back through two channels of capacity one.
#[derive(Clone, Copy, Debug)]
pub(super) struct PingPong;

/// One producer, one consumer.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneToOne;

/// Four producers, four consumers.
#[derive(Clone, Copy, Debug)]
pub(super) struct FourToFour;

impl Workload for PingPong {
    const NAME: &'static str = "chan_pingpong";
    const SIZE: Size = Size { quick: 100, start: 10_000, most: u64::MAX, threads: Some((1_000, u64::MAX)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let (there, arrives) = M::channel(1);
        let (back, returns) = M::channel(1);
        let echo = M::spawn(move || {
            while let Some(message) = arrives.take() {
                back.put(message);
            }
            0
        });
        let began = Instant::now();
        for number in 0..amount {
            there.put(number);
            assert_eq!(returns.take(), Some(number));
        }
        let elapsed = began.elapsed();
        drop(there);
        M::join(echo);
        Sample::per_operation(elapsed, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let (there, mut arrives) = tokio::sync::mpsc::channel(1);
        let (back, mut returns) = tokio::sync::mpsc::channel(1);
        let echo = tokio::spawn(async move {
            while let Some(message) = arrives.recv().await {
                back.send(message).await.expect("the other side waits");
            }
        });
        let began = Instant::now();
        for number in 0..amount {
            there.send(number).await.expect("the echo waits");
            assert_eq!(returns.recv().await, Some(number));
        }
        let elapsed = began.elapsed();
        drop(there);
        echo.await.expect("the task does not panic");
        Sample::per_operation(elapsed, amount)
    }
}

impl Workload for OneToOne {
    const NAME: &'static str = "chan_1x1";
    const SIZE: Size =
        Size { quick: 100, start: 50_000, most: 6_400_000, threads: Some((50_000, 6_400_000)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let (sender, receiver) = M::channel(CAPACITY);
        let began = Instant::now();
        let producer = M::spawn(move || {
            for number in 0..amount {
                sender.put(number);
            }
            0
        });
        let mut received = 0;
        while receiver.take().is_some() {
            received += 1;
        }
        assert_eq!(received, amount);
        M::join(producer);
        Sample::per_operation(began.elapsed(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY);
        let began = Instant::now();
        let producer = tokio::spawn(async move {
            for number in 0..amount {
                sender.send(number).await.expect("the consumer waits");
            }
        });
        let mut received = 0;
        while receiver.recv().await.is_some() {
            received += 1;
        }
        assert_eq!(received, amount);
        producer.await.expect("the task does not panic");
        Sample::per_operation(began.elapsed(), amount)
    }
}

impl Workload for FourToFour {
    const NAME: &'static str = "chan_4x4";
    const SIZE: Size = Size { quick: 25, start: 12_500, most: 1_600_000, threads: Some((12_500, 1_600_000)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let (sender, receiver) = M::queue(CAPACITY);
        let began = Instant::now();
        let consumers: Vec<_> = (0..SIDES)
            .map(|_| {
                let receiver = receiver.clone();
                M::spawn(move || {
                    let mut received = 0;
                    while receiver.take().is_some() {
                        received += 1;
                    }
                    received
                })
            })
            .collect();
        let producers: Vec<_> = (0..SIDES)
            .map(|_| {
                let sender = sender.clone();
                M::spawn(move || {
                    for number in 0..amount {
                        sender.put(number);
                    }
                    0
                })
            })
            .collect();
        drop(sender);
        for producer in producers {
            M::join(producer);
        }
        assert_eq!(consumers.into_iter().map(M::join).sum::<u64>(), SIDES * amount);
        Sample::per_operation(began.elapsed(), SIDES * amount)
    }

    /// tokio has no channel with many receivers; async-channel is what its users take.
    async fn tokio(amount: u64) -> Sample {
        let (sender, receiver) = async_channel::bounded(CAPACITY);
        let began = Instant::now();
        let consumers: Vec<_> = (0..SIDES)
            .map(|_| {
                let receiver = receiver.clone();
                tokio::spawn(async move {
                    let mut received = 0;
                    while receiver.recv().await.is_ok() {
                        received += 1;
                    }
                    received
                })
            })
            .collect();
        let producers: Vec<_> = (0..SIDES)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for number in 0..amount {
                        sender.send(number).await.expect("a consumer waits");
                    }
                })
            })
            .collect();
        drop(sender);
        for producer in producers {
            producer.await.expect("the task does not panic");
        }
        let mut received = 0;
        for consumer in consumers {
            received += consumer.await.expect("the task does not panic");
        }
        assert_eq!(received, SIDES * amount);
        Sample::per_operation(began.elapsed(), SIDES * amount)
    }
}
