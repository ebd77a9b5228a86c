#!/usr/bin/env bash
# crossbeam-deque: a batch stolen from a LIFO worker arrives newest first, a single steal takes the oldest.
#
# One would expect that stealing a batch and popping gives the item that a single steal gives, the oldest, and
# then the next oldest: the batch is an optimisation of repeated steals.
# Of 0..10 pushed by a LIFO worker, steal() gives 0. steal_batch_and_pop() takes 0 to 4 and gives 4, then 3, 2, 1,
# 0: the middle one first, whatever the kind of the thief's queue. Between FIFO workers, and from an Injector, it
# is 0, 1, 2, 3, 4.
# It matters to schedulers that rely on thieves for fairness: the oldest item, which has waited longest, goes to
# the very end of the thief's queue, and behind whatever it pushes meanwhile.
# Seen with crossbeam-deque 0.8.8.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "see"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
crossbeam-deque = "=0.8.8"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use crossbeam_deque::{Injector, Worker};

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn filled(worker: Worker<u32>) -> Worker<u32> {
    (0..10).for_each(|n| worker.push(n));
    worker
}

fn batch(victim: Worker<u32>, thief: Worker<u32>) -> Vec<u32> {
    let first = filled(victim)
        .stealer()
        .steal_batch_and_pop(&thief)
        .success();
    first
        .into_iter()
        .chain(std::iter::from_fn(|| thief.pop()))
        .collect()
}

fn main() {
    println!("crossbeam-deque 0.8.8, 0 to 9 were pushed");
    let single = filled(Worker::new_lifo()).stealer().steal().success();
    see("from LIFO, one", single, "Some(0)");
    see(
        "from LIFO to LIFO, batch",
        batch(Worker::new_lifo(), Worker::new_lifo()),
        "[4, 3, 2, 1, 0]",
    );
    see(
        "from LIFO to FIFO, batch",
        batch(Worker::new_lifo(), Worker::new_fifo()),
        "[4, 3, 2, 1, 0]",
    );
    see(
        "from FIFO to LIFO, batch",
        batch(Worker::new_fifo(), Worker::new_lifo()),
        "[0, 1, 2, 3, 4]",
    );
    see(
        "from FIFO to FIFO, batch",
        batch(Worker::new_fifo(), Worker::new_fifo()),
        "[0, 1, 2, 3, 4]",
    );
    let (injector, thief) = (Injector::new(), Worker::new_lifo());
    (0..10).for_each(|n| injector.push(n));
    let first = injector.steal_batch_and_pop(&thief).success();
    let all: Vec<u32> = first
        .into_iter()
        .chain(std::iter::from_fn(|| thief.pop()))
        .collect();
    see("from an Injector to LIFO, batch", all, "[0, 1, 2, 3, 4]");
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
