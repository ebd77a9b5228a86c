//! Spawning a task and waiting for its result, one after another.

use std::hint::black_box;
use std::time::Instant;

use super::{Model, Sample, Size, Workload};

/// The workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpawnJoin;

impl Workload for SpawnJoin {
    const NAME: &'static str = "spawn_join";
    const SIZE: Size = Size { quick: 100, start: 1_000, most: u64::MAX, threads: Some((100, 10_000)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let began = Instant::now();
        for number in 0..amount {
            black_box(M::join(M::spawn(move || number)));
        }
        Sample::per_operation(began.elapsed(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let began = Instant::now();
        for number in 0..amount {
            black_box(tokio::spawn(async move { number }).await.expect("the task does not panic"));
        }
        Sample::per_operation(began.elapsed(), amount)
    }
}
