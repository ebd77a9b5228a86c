//! Waiting for the first of two channels.

use std::time::Instant;

use super::{Primitives, Sample, Size, Workload};
use crate::model::Sender;

const CAPACITY: usize = 128;

/// One of them always has a message.
pub(super) struct Ready;

/// A producer for each; the consumer takes from whichever has something.
pub(super) struct Waiting;

impl Workload for Ready {
    const NAME: &'static str = "select ready";
    const SIZE: Size =
        Size { quick: 100, start: 100_000, most: u64::MAX, threads: Some((100_000, u64::MAX)) };
    const ONE_WORKER: bool = true;

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_CHOICE
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| M::queue(1)).unzip();
        let began = Instant::now();
        for number in 0..amount {
            senders[usize::from(number % 2 == 1)].put(number);
            assert_eq!(M::either(&receivers[0], &receivers[1]), number);
        }
        Sample::per_operation(began.elapsed(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let (one_sender, mut one) = tokio::sync::mpsc::channel(1);
        let (other_sender, mut other) = tokio::sync::mpsc::channel(1);
        let began = Instant::now();
        for number in 0..amount {
            let sender = if number % 2 == 1 { &other_sender } else { &one_sender };
            sender.send(number).await.expect("the receiver is there");
            let received = tokio::select! {
                message = one.recv() => message,
                message = other.recv() => message,
            };
            assert_eq!(received, Some(number));
        }
        Sample::per_operation(began.elapsed(), amount)
    }
}

impl Workload for Waiting {
    const NAME: &'static str = "select 2 producers";
    const SIZE: Size =
        Size { quick: 100, start: 50_000, most: 3_200_000, threads: Some((50_000, 3_200_000)) };

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_CHOICE
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| M::queue(CAPACITY)).unzip();
        let began = Instant::now();
        let producers: Vec<_> = senders
            .iter()
            .map(|sender| {
                let sender = sender.clone();
                M::spawn(move || {
                    for number in 1..=amount {
                        sender.put(number);
                    }
                    0
                })
            })
            .collect();
        // The senders that are kept here keep both channels connected.
        let sum: u64 = (0..2 * amount).map(|_| M::either(&receivers[0], &receivers[1])).sum();
        for producer in producers {
            M::join(producer);
        }
        assert_eq!(sum, amount * (amount + 1));
        Sample::per_operation(began.elapsed(), 2 * amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let (one_sender, mut one) = tokio::sync::mpsc::channel(CAPACITY);
        let (other_sender, mut other) = tokio::sync::mpsc::channel(CAPACITY);
        let began = Instant::now();
        let producers: Vec<_> = [&one_sender, &other_sender]
            .map(|sender| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for number in 1..=amount {
                        sender.send(number).await.expect("the consumer waits");
                    }
                })
            })
            .into();
        let mut sum = 0;
        for _ in 0..2 * amount {
            sum += tokio::select! {
                message = one.recv() => message.expect("the sender is there"),
                message = other.recv() => message.expect("the sender is there"),
            };
        }
        for producer in producers {
            producer.await.expect("the task does not panic");
        }
        assert_eq!(sum, amount * (amount + 1));
        Sample::per_operation(began.elapsed(), 2 * amount)
    }
}
