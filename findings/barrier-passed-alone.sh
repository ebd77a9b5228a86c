#!/usr/bin/env bash
# async-lock Barrier: one who gave up waiting is still counted, so that another passes alone.
#
# One would expect that a wait which is dropped (a time-out, a select) was no wait: of two parties that must meet
# at the barrier, one has left.
# The count goes up at the first poll of the wait and does not go down when it is dropped. The next to come finds
# the barrier full and passes as its leader, though it is alone; who comes after it then waits.
# It matters to phases of a computation with time limits: one side goes on with data that nobody has prepared, and
# from then on each round is one off. std's Barrier has no such case, since its wait cannot be given up.
# Seen with async-lock 3.5.0.
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
async-lock = "=3.5.0"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use async_lock::Barrier;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn main() {
    println!("async-lock 3.5.0, a barrier for two");
    let barrier = Barrier::new(2);
    let mut gives_up = Box::pin(barrier.wait());
    see(
        "the first waits",
        poll(gives_up.as_mut()).is_pending(),
        "true",
    );
    drop(gives_up);
    println!("  the first gave up");
    let mut alone = Box::pin(barrier.wait());
    let passes = matches!(poll(alone.as_mut()), Poll::Ready(outcome) if outcome.is_leader());
    see("the second, alone, passes as the leader", passes, "true");
    let mut next = Box::pin(barrier.wait());
    see("the third waits", poll(next.as_mut()).is_pending(), "true");
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
