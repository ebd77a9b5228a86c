//! What a task costs that waits: memory with page tables, and the time to spawn it cold and let it park.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Model, Sample, Size, Workload};
use crate::memory;
use crate::model::Receiver;

/// Tasks that all wait for the same thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parked;

/// A million of them, after [`REST`] of silence: a runtime may have given back by then what they do not need.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParkedLong;

/// A million tasks that sleep, on whatever the machine's limits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleeping;

/// Nobody wakes before the measurement is over, and nobody needs to wake after it in a process of its own.
const LONG: Duration = Duration::from_secs(3_600);
/// A quick run shares its process with others, so its sleepers end soon.
const SHORT: Duration = Duration::from_millis(50);

/// Longer than it takes abaca's workers to look at their fibers twice, and Go's scavenger to begin.
const REST: Duration = Duration::from_secs(5);

/// How often to look whether all have begun: yielding instead would keep one of the peers from starting any.
const TICK: Duration = Duration::from_millis(1);

fn sleep_of(amount: u64) -> Duration {
    if amount < Sleeping::SIZE.start { SHORT } else { LONG }
}

/// The sample: what it took until all tasks began, and the memory now.
fn sample(elapsed: Duration, before: u64, amount: u64) -> Sample {
    let bytes = memory::resident().saturating_sub(before) as f64 / amount as f64;
    Sample::per_operation(elapsed, amount).with("bytes", bytes)
}

impl Workload for Parked {
    const NAME: &'static str = "idle 20k";
    const SIZE: Size = Size { quick: 10, start: 20_000, most: 20_000, threads: Some((2_000, 2_000)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        parked::<M>(amount, Duration::ZERO)
    }

    async fn tokio(amount: u64) -> Sample {
        parked_on_tokio(amount, Duration::ZERO).await
    }
}

impl Workload for ParkedLong {
    const NAME: &'static str = "parked 1M for long";
    const SIZE: Size = Size { quick: 10, start: 1_000_000, most: 1_000_000, threads: None };

    fn blocking<M: Model>(amount: u64) -> Sample {
        parked::<M>(amount, rest_of(amount))
    }

    async fn tokio(amount: u64) -> Sample {
        parked_on_tokio(amount, rest_of(amount)).await
    }
}

fn rest_of(amount: u64) -> Duration {
    if amount < ParkedLong::SIZE.start { Duration::ZERO } else { REST }
}

/// So many tasks that wait, measured after a rest.
fn parked<M: Model>(amount: u64, rest: Duration) -> Sample {
    let (gate, closed) = M::queue(1);
    let started = Arc::new(AtomicU64::new(0));
    let (began, before) = (Instant::now(), memory::resident());
    let tasks: Vec<_> = (0..amount)
        .map(|_| {
            let (closed, started) = (closed.clone(), Arc::clone(&started));
            M::spawn(move || {
                started.fetch_add(1, Ordering::Relaxed);
                closed.take().unwrap_or(0)
            })
        })
        .collect();
    while started.load(Ordering::Relaxed) < amount {
        M::sleep(TICK);
    }
    let elapsed = began.elapsed();
    if !rest.is_zero() {
        M::sleep(rest);
    }
    let sample = sample(elapsed, before, amount);
    drop(gate);
    for task in tasks {
        M::join(task);
    }
    sample
}

/// The same on tokio.
async fn parked_on_tokio(amount: u64, rest: Duration) -> Sample {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let started = Arc::new(AtomicU64::new(0));
    let (began, before) = (Instant::now(), memory::resident());
    let tasks: Vec<_> = (0..amount)
        .map(|_| {
            let (gate, started) = (Arc::clone(&gate), Arc::clone(&started));
            tokio::spawn(async move {
                started.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.is_ok()
            })
        })
        .collect();
    while started.load(Ordering::Relaxed) < amount {
        tokio::time::sleep(TICK).await;
    }
    let elapsed = began.elapsed();
    tokio::time::sleep(rest).await;
    let sample = sample(elapsed, before, amount);
    gate.close();
    for task in tasks {
        task.await.expect("the task does not panic");
    }
    sample
}

impl Workload for Sleeping {
    const NAME: &'static str = "sleeping 1M";
    const SIZE: Size = Size { quick: 10, start: 1_000_000, most: 1_000_000, threads: None };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let started = Arc::new(AtomicU64::new(0));
        let (began, before) = (Instant::now(), memory::resident());
        for _ in 0..amount {
            let started = Arc::clone(&started);
            M::spawn(move || {
                started.fetch_add(1, Ordering::Relaxed);
                M::sleep(sleep_of(amount));
                0
            });
        }
        while started.load(Ordering::Relaxed) < amount {
            M::sleep(TICK);
        }
        sample(began.elapsed(), before, amount)
    }

    async fn tokio(amount: u64) -> Sample {
        let started = Arc::new(AtomicU64::new(0));
        let (began, before) = (Instant::now(), memory::resident());
        for _ in 0..amount {
            let started = Arc::clone(&started);
            tokio::spawn(async move {
                started.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(sleep_of(amount)).await;
            });
        }
        while started.load(Ordering::Relaxed) < amount {
            tokio::time::sleep(TICK).await;
        }
        sample(began.elapsed(), before, amount)
    }
}
