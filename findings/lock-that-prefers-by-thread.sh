#!/usr/bin/env bash
# crossbeam ShardedLock: whether a waiting writer keeps a new reader out depends on the reader's thread.
#
# One would expect a rule for all readers: a waiting writer keeps new ones out (as std's RwLock here, tokio's,
# parking_lot's), or it does not.
# A reader locks the shard of its thread (threads are numbered in the order in which they first lock), a writer
# all shards, one after the other, and waits at the first that is held. Threads of earlier shards are kept out
# from then on, those of later ones are not: with the reader on the first thread all others go on reading past the
# writer, with the reader on the last none does.
# It matters to whoever counts on either rule: a stream of readers delays a writer on one thread's account and not
# on another's, and a measurement changes with the order in which threads were started.
# Seen with crossbeam-utils 0.8.23 (8 shards), beside Rust 1.95.
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
crossbeam-utils = "=0.8.23"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use crossbeam_utils::sync::ShardedLock;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

const READERS: usize = 4;

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that are numbered by the lock in the order in which they are here.
fn threads() -> Vec<Sender<Job>> {
    let start = || {
        let (sender, jobs): (Sender<Job>, Receiver<Job>) = channel();
        thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        sender
    };
    (0..READERS).map(|_| start()).collect()
}

fn on<T: Send + 'static>(thread: &Sender<Job>, job: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = channel();
    thread
        .send(Box::new(move || drop(sender.send(job()))))
        .unwrap();
    result.recv().unwrap()
}

/// While thread `holder` reads and a writer waits: which threads can read as well.
macro_rules! admitted {
    ($threads:expr, $lock:expr, $holder:expr) => {{
        let lock = Arc::new($lock);
        for thread in $threads {
            let lock = lock.clone();
            on(thread, move || drop(lock.read()));
        }
        let (held, release) = (channel(), channel::<()>());
        let reader = lock.clone();
        $threads[$holder]
            .send(Box::new(move || {
                let guard = reader.read();
                held.0.send(()).unwrap();
                let _ = release.1.recv();
                drop(guard);
            }))
            .unwrap();
        held.1.recv().unwrap();
        let writer = lock.clone();
        let writer = thread::spawn(move || drop(writer.write()));
        thread::sleep(Duration::from_millis(300));
        let others = (0..READERS).filter(|&n| n != $holder);
        let admitted: Vec<usize> = others
            .filter(|&n| {
                let lock = lock.clone();
                on(&$threads[n], move || lock.try_read().is_ok())
            })
            .collect();
        drop(release.0);
        writer.join().unwrap();
        admitted
    }};
}

fn main() {
    println!("crossbeam-utils 0.8.23, threads 0 to 3; one reads, a writer waits; the threads whose try_read succeeds");
    let threads = &threads();
    see(
        "ShardedLock, thread 0 reads",
        admitted!(threads, ShardedLock::new(()), 0),
        "[1, 2, 3]",
    );
    see(
        "ShardedLock, thread 1 reads",
        admitted!(threads, ShardedLock::new(()), 1),
        "[2, 3]",
    );
    see(
        "ShardedLock, thread 3 reads",
        admitted!(threads, ShardedLock::new(()), 3),
        "[]",
    );
    see(
        "std's RwLock, thread 0 reads",
        admitted!(threads, RwLock::new(()), 0),
        "[]",
    );
    see(
        "std's RwLock, thread 3 reads",
        admitted!(threads, RwLock::new(()), 3),
        "[]",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
