//! `N` trivial tasks spawned, then all of them awaited; the second batch counts.

use std::time::Instant;

use super::{Model, Sample, Size, Workload};

/// The workload with `N` tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpawnBatch<const N: u64>;

impl<const N: u64> Workload for SpawnBatch<N> {
    const NAME: &'static str = if N == 1_000_000 { "spawn_batch 1M" } else { "spawn_batch 100k" };
    const SIZE: Size = Size { quick: 100, start: N, most: N, threads: None };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let batch = || {
            let began = Instant::now();
            let handles: Vec<_> = (0..amount).map(|number| M::spawn(move || number)).collect();
            let sum: u64 = handles.into_iter().map(M::join).sum();
            assert_eq!(sum, amount * (amount - 1) / 2);
            began.elapsed()
        };
        batch();
        Sample::per_operation(batch(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let batch = async || {
            let began = Instant::now();
            let handles: Vec<_> = (0..amount).map(|number| tokio::spawn(async move { number })).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.expect("the task does not panic");
            }
            assert_eq!(sum, amount * (amount - 1) / 2);
            began.elapsed()
        };
        batch().await;
        Sample::per_operation(batch().await, amount)
    }
}
