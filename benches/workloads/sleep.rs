//! How late sleepers wake: very many at once, and one alone on an idle runtime.

use std::time::{Duration, Instant};

use super::{Model, Sample, Size, Workload};
use crate::memory;

/// Tasks that sleep for 1 to 1,000 ms, the same durations everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm;

/// One task that sleeps 50 us again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone;

/// The duration of a sleeper in the storm: scrambled, so that neighbours do not wake together.
fn duration_of(sleeper: u64) -> Duration {
    let scrambled = sleeper.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    Duration::from_millis(1 + scrambled % 1_000)
}

fn nanoseconds_late(began: Instant, duration: Duration) -> u64 {
    u64::try_from(began.elapsed().saturating_sub(duration).as_nanos()).unwrap_or(u64::MAX)
}

fn storm(began: Instant, cpu_before: Duration, late: Vec<u64>) -> Sample {
    let cpu = memory::cpu_time() - cpu_before;
    Sample::lateness(began.elapsed(), late).with("cpu ms", cpu.as_secs_f64() * 1e3)
}

impl Workload for Storm {
    const NAME: &'static str = "sleep_storm 100k";
    const SIZE: Size = Size { quick: 10, start: 100_000, most: 100_000, threads: None };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let (began, cpu_before) = (Instant::now(), memory::cpu_time());
        let sleepers: Vec<_> = (0..amount)
            .map(|sleeper| {
                M::spawn(move || {
                    let (began, duration) = (Instant::now(), duration_of(sleeper));
                    M::sleep(duration);
                    nanoseconds_late(began, duration)
                })
            })
            .collect();
        let late = sleepers.into_iter().map(M::join).collect();
        storm(began, cpu_before, late)
    }

    async fn tokio(amount: u64) -> Sample {
        let (began, cpu_before) = (Instant::now(), memory::cpu_time());
        let sleepers: Vec<_> = (0..amount)
            .map(|sleeper| {
                tokio::spawn(async move {
                    let (began, duration) = (Instant::now(), duration_of(sleeper));
                    tokio::time::sleep(duration).await;
                    nanoseconds_late(began, duration)
                })
            })
            .collect();
        let mut late = Vec::with_capacity(sleepers.len());
        for sleeper in sleepers {
            late.push(sleeper.await.expect("the task does not panic"));
        }
        storm(began, cpu_before, late)
    }
}

const ALONE: Duration = Duration::from_micros(50);

impl Workload for Alone {
    const NAME: &'static str = "sleep 50us alone";
    const SIZE: Size = Size { quick: 10, start: 500, most: 500, threads: Some((500, 500)) };

    fn blocking<M: Model>(amount: u64) -> Sample {
        let began = Instant::now();
        let late = (0..amount).map(|_| {
            let began = Instant::now();
            M::sleep(ALONE);
            nanoseconds_late(began, ALONE)
        });
        let late = late.collect();
        Sample::lateness(began.elapsed(), late)
    }

    async fn tokio(amount: u64) -> Sample {
        let began = Instant::now();
        let mut late = Vec::new();
        for _ in 0..amount {
            let began = Instant::now();
            tokio::time::sleep(ALONE).await;
            late.push(nanoseconds_late(began, ALONE));
        }
        Sample::lateness(began.elapsed(), late)
    }
}
