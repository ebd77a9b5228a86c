//! Channels of other shapes than the usual one: without a buffer, without a limit, from many to one.

use std::time::Instant;

use super::{Primitives, Sample, Size, Workload};
use crate::model::{Receiver, Sender};

/// Every send waits for its receiver.
pub(super) struct Rendezvous;

/// No send waits.
pub(super) struct Unbounded;

/// Four producers, one consumer, room for 128.
pub(super) struct ManyToOne;

const PRODUCERS: u64 = 4;
const STREAM: Size = Size { quick: 100, start: 50_000, most: 6_400_000, threads: Some((50_000, 6_400_000)) };

/// Starts producers, consumes what they send, and joins them.
fn stream<M: Primitives, S: Sender, R: Receiver>(
    producers: u64,
    amount: u64,
    (sender, receiver): (S, R),
) -> Sample {
    let began = Instant::now();
    let tasks: Vec<_> = (0..producers)
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
    let mut received = 0;
    while receiver.take().is_some() {
        received += 1;
    }
    for task in tasks {
        M::join(task);
    }
    assert_eq!(received, producers * amount);
    Sample::per_operation(began.elapsed(), received)
}

impl Workload for Rendezvous {
    const NAME: &'static str = "chan rendezvous";
    const SIZE: Size = Size { quick: 100, start: 10_000, most: u64::MAX, threads: Some((1_000, u64::MAX)) };

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_RENDEZVOUS
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        stream::<M, _, _>(1, amount, M::rendezvous())
    }

    /// tokio has none; a channel of one place comes closest, and waits less.
    async fn tokio(amount: u64) -> Sample {
        many_to_one(1, amount, 1).await
    }
}

impl Workload for Unbounded {
    const NAME: &'static str = "chan unbounded 1x1";
    const SIZE: Size = STREAM;

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        stream::<M, _, _>(1, amount, M::unbounded())
    }

    async fn tokio(amount: u64) -> Sample {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let began = Instant::now();
        let producer = tokio::spawn(async move {
            for number in 0..amount {
                sender.send(number).expect("the consumer waits");
            }
        });
        let mut received = 0;
        while receiver.recv().await.is_some() {
            received += 1;
        }
        producer.await.expect("the task does not panic");
        assert_eq!(received, amount);
        Sample::per_operation(began.elapsed(), amount)
    }
}

impl Workload for ManyToOne {
    const NAME: &'static str = "chan 4x1";
    const SIZE: Size = Size { quick: 25, start: 12_500, most: 1_600_000, threads: Some((12_500, 1_600_000)) };

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        stream::<M, _, _>(PRODUCERS, amount, M::channel(128))
    }

    async fn tokio(amount: u64) -> Sample {
        many_to_one(PRODUCERS, amount, 128).await
    }
}

async fn many_to_one(producers: u64, amount: u64, capacity: usize) -> Sample {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(capacity);
    let began = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for number in 0..amount {
                    sender.send(number).await.expect("the consumer waits");
                }
            })
        })
        .collect();
    drop(sender);
    let mut received = 0;
    while receiver.recv().await.is_some() {
        received += 1;
    }
    for task in tasks {
        task.await.expect("the task does not panic");
    }
    assert_eq!(received, producers * amount);
    Sample::per_operation(began.elapsed(), received)
}
