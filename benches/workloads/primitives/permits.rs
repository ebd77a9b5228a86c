//! Permits of a semaphore.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::{Primitives, Sample, Size, Workload};

/// One task that takes a permit and gives it back.
pub(super) struct Uncontended;

/// 100 tasks for four permits, each of whose holders yields.
pub(super) struct Contended;

const TASKS: u64 = 100;
const PERMITS: usize = 4;

impl Workload for Uncontended {
    const NAME: &'static str = "semaphore uncontended";
    const SIZE: Size = Size { quick: 100, start: 1_000_000, most: u64::MAX, threads: None };
    const ONE_WORKER: bool = true;

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_PERMITS
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let permits = M::permits(1);
        let mut count = 0;
        let began = Instant::now();
        for _ in 0..amount {
            M::with_permit(&permits, || count = std::hint::black_box(count) + 1);
        }
        let elapsed = began.elapsed();
        assert_eq!(count, amount);
        Sample::per_operation(elapsed, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let permits = tokio::sync::Semaphore::new(1);
        let mut count = 0;
        let began = Instant::now();
        for _ in 0..amount {
            let _permit = permits.acquire().await.expect("nobody closes it");
            count = std::hint::black_box(count) + 1;
        }
        let elapsed = began.elapsed();
        assert_eq!(count, amount);
        Sample::per_operation(elapsed, amount)
    }
}

impl Workload for Contended {
    const NAME: &'static str = "semaphore 100 tasks";
    const SIZE: Size = Size { quick: 5, start: 1_000, most: 64_000, threads: None };

    fn is_possible<M: Primitives>() -> bool {
        M::HAS_PERMITS
    }

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let (permits, count) = (Arc::new(M::permits(PERMITS)), Arc::new(AtomicU64::new(0)));
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (permits, count) = (Arc::clone(&permits), Arc::clone(&count));
                M::spawn(move || {
                    for _ in 0..amount {
                        M::with_permit(&permits, || {
                            count.fetch_add(1, Relaxed);
                            M::yield_now();
                        });
                    }
                    0
                })
            })
            .collect();
        for task in tasks {
            M::join(task);
        }
        let elapsed = began.elapsed();
        assert_eq!(count.load(Relaxed), TASKS * amount);
        Sample::per_operation(elapsed, TASKS * amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let permits = Arc::new(tokio::sync::Semaphore::new(PERMITS));
        let count = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (permits, count) = (Arc::clone(&permits), Arc::clone(&count));
                tokio::spawn(async move {
                    for _ in 0..amount {
                        let _permit = permits.acquire().await.expect("nobody closes it");
                        count.fetch_add(1, Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task does not panic");
        }
        let elapsed = began.elapsed();
        assert_eq!(count.load(Relaxed), TASKS * amount);
        Sample::per_operation(elapsed, TASKS * amount)
    }
}
