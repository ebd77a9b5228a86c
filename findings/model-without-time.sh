#!/usr/bin/env bash
# loom Condvar::wait_timeout: the time-out never fires, and a wait that relies on it is reported as a deadlock.
#
# One would expect that a model checker, for which time is one more thing that may happen, explores both ends of a
# timed wait: notified, and timed out.
# loom's wait_timeout is a plain wait that says "not timed out". A program that would merely be late is a deadlock
# to it, and the path after a time-out is never explored, though the model passes.
# It matters to whoever models a lock with a deadline: the races between time-out and wake-up, where the faults
# are, are not covered. The time-out must be modelled by a thread that notifies.
# Seen with loom 0.7.3.
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
loom = "=0.7.3"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::time::Duration;

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

static ENDS: std::sync::Mutex<BTreeSet<(bool, bool)>> = std::sync::Mutex::new(BTreeSet::new());

fn wait(flag: &(Mutex<bool>, Condvar)) {
    let guard = flag.0.lock().unwrap();
    if !*guard {
        let (guard, outcome) = flag
            .1
            .wait_timeout(guard, Duration::from_millis(1))
            .unwrap();
        ENDS.lock().unwrap().insert((*guard, outcome.timed_out()));
    }
}

fn main() {
    println!("loom 0.7.3, wait_timeout of 1 ms, all interleavings");
    std::panic::set_hook(Box::new(|_| {}));
    let alone = catch_unwind(|| loom::model(|| wait(&(Mutex::new(false), Condvar::new()))));
    let words = alone.unwrap_err().downcast::<String>().unwrap();
    see(
        "nobody notifies: deadlock reported",
        words.contains("deadlock"),
        "true",
    );
    let both = catch_unwind(|| {
        loom::model(|| {
            let flag = Arc::new((Mutex::new(false), Condvar::new()));
            let other = flag.clone();
            let notifier = thread::spawn(move || {
                *other.0.lock().unwrap() = true;
                other.1.notify_one();
            });
            wait(&flag);
            notifier.join().unwrap();
        })
    });
    see("somebody notifies: the model passes", both.is_ok(), "true");
    see(
        "ends of the wait (flag seen, timed out)",
        &*ENDS.lock().unwrap(),
        "{(true, false)}",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
