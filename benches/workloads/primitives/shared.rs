//! A lock for many readers or one writer.

use std::sync::Arc;
use std::time::Instant;

use super::{Primitives, Sample, Size, Workload};

/// One task that reads.
pub(super) struct Read;

/// One task that writes.
pub(super) struct Write;

/// 100 tasks, of whose accesses every tenth writes.
pub(super) struct Contended;

const ALONE: Size =
    Size { quick: 100, start: 1_000_000, most: u64::MAX, threads: Some((1_000_000, u64::MAX)) };
const TASKS: u64 = 100;

impl Workload for Read {
    const NAME: &'static str = "rwlock read";
    const SIZE: Size = ALONE;
    const ONE_WORKER: bool = true;

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let shared = M::shared();
        let began = Instant::now();
        for _ in 0..amount {
            assert_eq!(M::read(&shared), 0);
        }
        Sample::per_operation(began.elapsed(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let shared = tokio::sync::RwLock::new(0_u64);
        let began = Instant::now();
        for _ in 0..amount {
            assert_eq!(*shared.read().await, 0);
        }
        Sample::per_operation(began.elapsed(), amount)
    }
}

impl Workload for Write {
    const NAME: &'static str = "rwlock write";
    const SIZE: Size = ALONE;
    const ONE_WORKER: bool = true;

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let shared = M::shared();
        let began = Instant::now();
        for number in 1..=amount {
            assert_eq!(M::write(&shared), number);
        }
        Sample::per_operation(began.elapsed(), amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let shared = tokio::sync::RwLock::new(0_u64);
        let began = Instant::now();
        for _ in 0..amount {
            *shared.write().await += 1;
        }
        Sample::per_operation(began.elapsed(), amount)
    }
}

impl Workload for Contended {
    const NAME: &'static str = "rwlock 100 tasks";
    const SIZE: Size = Size { quick: 10, start: 10_000, most: 640_000, threads: Some((10_000, 640_000)) };

    fn blocking<M: Primitives>(amount: u64) -> Sample {
        let shared = Arc::new(M::shared());
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let shared = Arc::clone(&shared);
                M::spawn(move || {
                    for step in 0..amount {
                        if step % 10 == 0 {
                            M::write(&shared)
                        } else {
                            M::read(&shared)
                        };
                    }
                    0
                })
            })
            .collect();
        for task in tasks {
            M::join(task);
        }
        let elapsed = began.elapsed();
        assert_eq!(M::read(&shared), TASKS * amount.div_ceil(10));
        Sample::per_operation(elapsed, TASKS * amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let shared = Arc::new(tokio::sync::RwLock::new(0_u64));
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    for step in 0..amount {
                        if step % 10 == 0 {
                            *shared.write().await += 1;
                        } else {
                            std::hint::black_box(*shared.read().await);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task does not panic");
        }
        let elapsed = began.elapsed();
        assert_eq!(*shared.read().await, TASKS * amount.div_ceil(10));
        Sample::per_operation(elapsed, TASKS * amount)
    }
}
