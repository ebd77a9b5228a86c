#!/usr/bin/env bash
# async-channel and flume: messages in the queue outlive the last receiver; std and tokio drop them with it.
#
# One would expect that a message which nobody can receive any more is dropped when the last receiver is: in std,
# tokio and crossbeam it is.
# async-channel and flume keep it until the last *sender* is gone as well. Further sends fail, so the sender
# learns of the end by sending only.
# It matters to request channels whose messages hold the sender of the answer: the server is gone, the request
# lies in the queue, and so the one that asks, who also holds a sender of requests, waits for an answer for ever
# instead of getting "closed".
# Seen with async-channel 2.5.0 and flume 0.12.0, beside Rust 1.95 and tokio 1.54.1.
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
async-channel = "=2.5.0"
crossbeam-channel = "=0.5.17"
flume = { version = "=0.12.0", default-features = false }
tokio = { version = "=1.54.1", features = ["sync"] }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::sync::{mpsc, Arc};

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

/// Whether a message in the queue of a channel, made by `$channel` and sent by `$send`, lives after the last receiver.
macro_rules! lives {
    ($channel:expr, $send:ident) => {{
        let message = Arc::new(());
        let (sender, receiver) = $channel;
        sender.$send(message.clone()).unwrap();
        drop(receiver);
        let with_sender = Arc::strong_count(&message) == 2;
        assert!(sender.$send(message.clone()).is_err());
        drop(sender);
        assert_eq!(Arc::strong_count(&message), 1);
        with_sender
    }};
}

fn main() {
    println!("whether a queued message lives while there is a sender, but no receiver");
    see("std mpsc", lives!(mpsc::channel(), send), "false");
    see(
        "crossbeam-channel 0.5.17",
        lives!(crossbeam_channel::unbounded(), send),
        "false",
    );
    see(
        "tokio 1.54.1 mpsc",
        lives!(tokio::sync::mpsc::unbounded_channel(), send),
        "false",
    );
    see(
        "async-channel 2.5.0",
        lives!(async_channel::unbounded(), try_send),
        "true",
    );
    see("flume 0.12.0", lives!(flume::unbounded(), send), "true");
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
