//! A thousand pairs of tasks at once: one asks, the other answers, each through a one-shot. Spawning counts.

use std::time::Instant;

use super::{Model, Sample, Size, Workload};
use crate::model::{Receiver, Sender};

const PAIRS: u64 = 1_000;

/// The workload; the amount is how often the thousand pairs run.
#[derive(Clone, Copy, Debug)]
pub(super) struct PingPong;

impl Workload for PingPong {
    const NAME: &'static str = "ping_pong";
    const SIZE: Size = Size { quick: 1, start: 2, most: 1_024, threads: Some((1, 1)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let began = Instant::now();
        for _ in 0..amount {
            let pairs: Vec<_> = (0..PAIRS)
                .map(|number| {
                    M::spawn(move || {
                        let (ask, asked) = M::channel(1);
                        let (answer, answered) = M::channel(1);
                        M::spawn(move || {
                            answer.put(asked.take().expect("a question"));
                            0
                        });
                        ask.put(number);
                        answered.take().expect("an answer")
                    })
                })
                .collect();
            assert_eq!(pairs.into_iter().map(M::join).sum::<u64>(), PAIRS * (PAIRS - 1) / 2);
        }
        Sample::per_operation(began.elapsed(), amount * PAIRS)
    }

    async fn tokio(amount: u64) -> Sample {
        let began = Instant::now();
        for _ in 0..amount {
            let pairs: Vec<_> = (0..PAIRS)
                .map(|number| {
                    tokio::spawn(async move {
                        let (ask, asked) = tokio::sync::oneshot::channel();
                        let (answer, answered) = tokio::sync::oneshot::channel();
                        tokio::spawn(async move {
                            let question: u64 = asked.await.expect("a question");
                            answer.send(question).expect("the asker waits");
                        });
                        ask.send(number).expect("the answerer waits");
                        answered.await.expect("an answer")
                    })
                })
                .collect();
            let mut sum = 0;
            for pair in pairs {
                sum += pair.await.expect("the task does not panic");
            }
            assert_eq!(sum, PAIRS * (PAIRS - 1) / 2);
        }
        Sample::per_operation(began.elapsed(), amount * PAIRS)
    }
}
