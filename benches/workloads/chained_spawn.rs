//! Each task spawns the next and ends; the last one of a thousand says so.

use std::time::Instant;

use super::{Model, Sample, Size, Workload};
use crate::model::{Receiver, Sender};

const LINKS: u64 = 1_000;

/// The workload; the amount is the number of chains, one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainedSpawn;

impl Workload for ChainedSpawn {
    const NAME: &'static str = "chained_spawn";
    const SIZE: Size = Size { quick: 1, start: 8, most: u64::MAX, threads: Some((1, 8)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        fn link<M: Model>(left: u64, done: M::Sender) -> u64 {
            if left == 0 {
                done.put(1);
            } else {
                M::spawn(move || link::<M>(left - 1, done));
            }
            0
        }
        let (done, last) = M::channel(1);
        let began = Instant::now();
        for _ in 0..amount {
            let done = done.clone();
            M::spawn(move || link::<M>(LINKS, done));
            last.take().expect("the chain's end");
        }
        Sample::per_operation(began.elapsed(), amount * LINKS)
    }

    async fn tokio(amount: u64) -> Sample {
        type Done = tokio::sync::mpsc::Sender<()>;
        fn link(left: u64, done: Done) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                if left == 0 {
                    done.send(()).await.expect("the root waits");
                } else {
                    tokio::spawn(link(left - 1, done));
                }
            })
        }
        let (done, mut last) = tokio::sync::mpsc::channel(1);
        let began = Instant::now();
        for _ in 0..amount {
            tokio::spawn(link(LINKS, done.clone()));
            last.recv().await.expect("the chain's end");
        }
        Sample::per_operation(began.elapsed(), amount * LINKS)
    }
}
