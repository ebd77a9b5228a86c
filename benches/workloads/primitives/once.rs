//! A channel for one message: made, used and dropped.

use std::time::Instant;

use super::{Primitives, Sample, Size, Workload};
use crate::model::{OnceReceiver, OnceSender, Receiver, Sender};

/// The message is there before it is asked for.
pub(super) struct Alone;

/// Another task answers, and is waited for: a request with a reply.
pub(super) struct Between;

impl Workload for Alone {
    const NAME: &'static str = "oneshot ready";
    const SIZE: Size =
        Size { quick: 100, start: 100_000, most: u64::MAX, threads: Some((100_000, u64::MAX)) };
    const ONE_WORKER: bool = true;

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let began = Instant::now();
        for number in 0..amount {
            let (sender, receiver) = M::once();
            sender.put_once(number);
            assert_eq!(receiver.take_once(), number);
        }
        Sample::per_operation(began.elapsed(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let began = Instant::now();
        for number in 0..amount {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            sender.send(number).expect("the receiver is there");
            assert_eq!(receiver.await, Ok(number));
        }
        Sample::per_operation(began.elapsed(), amount)
    }
}

impl Workload for Between {
    const NAME: &'static str = "oneshot reply";
    const SIZE: Size = Size { quick: 50, start: 10_000, most: u64::MAX, threads: Some((1_000, u64::MAX)) };

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        // The replies' channels travel through a queue of their own, beside the requests.
        let (ask, asked) = M::channel(1);
        let (give, given) = std::sync::mpsc::channel::<M::OnceSender>();
        let server = M::spawn(move || {
            while let Some(number) = asked.take() {
                given.recv().expect("it was put before the request").put_once(number);
            }
            0
        });
        let began = Instant::now();
        for number in 0..amount {
            let (sender, receiver) = M::once();
            give.send(sender).expect("the server is there");
            ask.put(number);
            assert_eq!(receiver.take_once(), number);
        }
        let elapsed = began.elapsed();
        drop(ask);
        M::join(server);
        Sample::per_operation(elapsed, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let (ask, mut asked) = tokio::sync::mpsc::channel(1);
        let (give, given) = std::sync::mpsc::channel::<tokio::sync::oneshot::Sender<u64>>();
        let server = tokio::spawn(async move {
            while let Some(number) = asked.recv().await {
                given.recv().expect("it was put before the request").send(number).expect("somebody waits");
            }
        });
        let began = Instant::now();
        for number in 0..amount {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            give.send(sender).expect("the server is there");
            ask.send(number).await.expect("the server is there");
            assert_eq!(receiver.await, Ok(number));
        }
        let elapsed = began.elapsed();
        drop(ask);
        server.await.expect("the task does not panic");
        Sample::per_operation(elapsed, amount)
    }
}
