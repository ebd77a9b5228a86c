//! The main task workloads with their peers in one group each, for a quick look while working on the runtime. The
//! figures that count come from the `compare` binary, where every measurement has a process of its own.

use std::time::Duration;

use abaca_benches::peer::Peer;
use abaca_benches::workloads::{self, Entry};
use criterion::{BenchmarkId, Criterion};

/// may keeps the number of workers that it first started with, so only one of its columns fits a process.
const PEERS: &[Peer] = &[
    Peer::Abaca(1),
    Peer::Abaca(2),
    Peer::TokioCt,
    Peer::Tokio(1),
    Peer::Tokio(2),
    Peer::May(2),
    Peer::Corosensei,
];

/// They need a process of their own, or too long for a quick look.
const LEFT_OUT: &[&str] =
    &["spawn_batch 1M", "sleep_storm 100k", "idle 20k", "parked 1M for long", "sleeping 1M"];

/// What `may` cannot do with its two mappings a fiber under the usual map limit; it would take the process along.
const TOO_MUCH_FOR_MAY: &[&str] = &["spawn_batch 100k", "skynet 1M"];

fn tasks(criterion: &mut Criterion) {
    let quick = std::env::args().any(|argument| argument == "--test");
    for entry in workloads::ALL.iter().filter(|entry| !LEFT_OUT.contains(&entry.name)) {
        let mut group = criterion.benchmark_group(entry.name);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1));
        for &peer in PEERS {
            let hopeless = peer == Peer::May(2) && TOO_MUCH_FOR_MAY.contains(&entry.name);
            if entry.range(peer, quick).is_some() && !hopeless {
                group.bench_function(BenchmarkId::from_parameter(peer), |bencher| {
                    // A sample is a whole run of the workload; what criterion calls an iteration is one operation.
                    bencher
                        .iter_custom(|operations| time_of_one(entry, peer, quick).mul_f64(operations as f64));
                });
            }
        }
    }
}

fn time_of_one(entry: &Entry, peer: Peer, quick: bool) -> Duration {
    let sample = entry.sample(peer, quick).expect("the peer has a form of it");
    let units = [("ns", 1e-9), ("ms", 1e-3), ("late p50 us", 1e-6)];
    let seconds = units.iter().find_map(|(name, unit)| Some(sample.figures.get(*name)? * unit));
    Duration::from_secs_f64(seconds.expect("one of the figures is a time"))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tasks(&mut criterion);
    criterion.final_summary();
}
