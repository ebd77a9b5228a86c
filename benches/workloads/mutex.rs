//! Tasks that lock, add one and unlock.

use std::sync::Arc;
use std::time::Instant;

use super::{Model, Sample, Size, Workload};

/// One task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncontended;

/// 100 tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contended;

impl Workload for Uncontended {
    const NAME: &'static str = "mutex uncontended";
    const SIZE: Size =
        Size { quick: 100, start: 1_000_000, most: u64::MAX, threads: Some((1_000_000, u64::MAX)) };
    const ONE_WORKER: bool = true;

    fn blocking<M: Model>(amount: u64) -> Sample {
        blocking::<M>(1, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        tokio(1, amount).await
    }
}

impl Workload for Contended {
    const NAME: &'static str = "mutex 100 tasks";
    const SIZE: Size = Size { quick: 10, start: 10_000, most: 640_000, threads: Some((10_000, 640_000)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        blocking::<M>(100, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        tokio(100, amount).await
    }
}

fn blocking<M: Model>(tasks: u64, amount: u64) -> Sample {
    let counter = Arc::new(M::counter());
    let began = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let counter = Arc::clone(&counter);
            M::spawn(move || {
                for _ in 0..amount {
                    M::increment(&counter);
                }
                0
            })
        })
        .collect();
    for handle in handles {
        M::join(handle);
    }
    let elapsed = began.elapsed();
    assert_eq!(M::increment(&counter), tasks * amount + 1);
    Sample::per_operation(elapsed, tasks * amount)
}

async fn tokio(tasks: u64, amount: u64) -> Sample {
    let counter = Arc::new(tokio::sync::Mutex::new(0_u64));
    let began = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                for _ in 0..amount {
                    *counter.lock().await += 1;
                }
            })
        })
        .collect();
    for handle in handles {
        handle.await.expect("the task does not panic");
    }
    let elapsed = began.elapsed();
    assert_eq!(*counter.lock().await, tasks * amount);
    Sample::per_operation(elapsed, tasks * amount)
}
