//! Tasks that do nothing but yield to each other.

use std::time::Instant;

use super::{Model, Sample, Size, Workload};

/// Two tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yield2;

/// 200 tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct YieldMany;

impl Workload for Yield2 {
    const NAME: &'static str = "yield2";
    const SIZE: Size = Size { quick: 100, start: 10_000, most: u64::MAX, threads: Some((10_000, u64::MAX)) };
    const ONE_WORKER: bool = true;

    fn blocking<M: Model>(amount: u64) -> Sample {
        blocking::<M>(2, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        tokio(2, amount).await
    }
}

impl Workload for YieldMany {
    const NAME: &'static str = "yield_many";
    const SIZE: Size = Size { quick: 10, start: 1_000, most: 64_000, threads: Some((1_000, 1_000)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        blocking::<M>(200, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        tokio(200, amount).await
    }
}

fn blocking<M: Model>(tasks: u64, yields: u64) -> Sample {
    let began = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            M::spawn(move || {
                for _ in 0..yields {
                    M::yield_now();
                }
                0
            })
        })
        .collect();
    for handle in handles {
        M::join(handle);
    }
    Sample::per_operation(began.elapsed(), tasks * yields)
}

async fn tokio(tasks: u64, yields: u64) -> Sample {
    let began = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for handle in handles {
        handle.await.expect("the task does not panic");
    }
    Sample::per_operation(began.elapsed(), tasks * yields)
}
