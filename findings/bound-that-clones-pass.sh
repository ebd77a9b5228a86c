#!/usr/bin/env bash
# futures mpsc::channel(n): a sender that is cloned for each message is not bounded at all.
#
# One would expect what its documentation says: the capacity is n plus the number of senders. So with one living
# sender at most n + 1 messages wait.
# Each new clone may always send one message, however many wait already, and the message stays when the clone is
# dropped. 1000 clones, made and dropped one after the other, leave 1000 messages in a channel(0) with one sender,
# and none of them was told to wait.
# It matters to servers that clone the sender in each request's handler: the bound which was to slow them down
# does not exist. tokio's and async-channel's bounds hold for clones too.
# Seen with futures-channel 0.3.34 (beside tokio 1.54.1).
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
futures-channel = "=0.3.34"
tokio = { version = "=1.54.1", features = ["sync"] }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use futures_channel::mpsc;

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn main() {
    println!("futures-channel 0.3.34, how many of 1000 messages a bounded channel takes without a receiver that reads");
    let (mut sender, mut receiver) = mpsc::channel(0);
    let by_one = (0..1000).filter(|&n| sender.try_send(n).is_ok()).count();
    see("channel(0), by one sender", by_one, "1");
    let by_clones = (0..1000)
        .filter(|&n| sender.clone().try_send(n).is_ok())
        .count();
    see(
        "channel(0), each by a clone of its own that is dropped",
        by_clones,
        "1000",
    );
    drop(sender);
    let waiting = std::iter::from_fn(|| receiver.try_recv().ok()).count();
    see("messages that had been waiting", waiting, "1001");

    let (sender, _receiver) = tokio::sync::mpsc::channel(1);
    let by_clones = (0..1000)
        .filter(|&n| sender.clone().try_send(n).is_ok())
        .count();
    see("tokio's channel(1), each by a clone", by_clones, "1");
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
