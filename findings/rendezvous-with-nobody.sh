#!/usr/bin/env bash
# flume bounded(0): a send is over although nobody has received, and the message stays in the channel.
#
# One would expect of a rendezvous channel what std's and crossbeam's give: a send returns when a receiver has the
# message, and nothing is ever left in between.
# If a receiver waits in recv_async (polled once), send puts the message aside for it and returns. When that
# future is dropped, the message stays: the channel of capacity 0 holds one (len is 1), try_send says that it is
# full, and it goes to the next receiver, or is lost with the last one.
# It matters to hand-shakes: "send has returned, so the other side has it" is not true as soon as a receiver waits
# under a time-out or in a select.
# Seen with flume 0.12.0.
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
flume = "=0.12.0"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn main() {
    println!("flume 0.12.0, capacity 0");
    let (sender, receiver) = flume::bounded(0);
    see(
        "try_send, no receiver",
        sender.try_send("first").is_ok(),
        "false",
    );
    let mut waits = receiver.recv_async();
    let polled = Pin::new(&mut waits).poll(&mut Context::from_waker(Waker::noop()));
    see("a receiver waits", polled.is_pending(), "true");
    see("send", sender.send("first"), "Ok(())");
    drop(waits);
    println!("  the receiver has given up");
    see("messages in the channel", receiver.len(), "1");
    see(
        "try_send says full",
        sender.try_send("second").is_err(),
        "true",
    );
    see("another receiver", receiver.try_recv(), "Ok(\"first\")");

    let (sender, receiver) = mpsc::sync_channel(0);
    see(
        "std: try_send, no receiver",
        sender.try_send("first").is_ok(),
        "false",
    );
    see(
        "std: recv with a time-out",
        receiver
            .recv_timeout(std::time::Duration::from_millis(1))
            .is_ok(),
        "false",
    );
    see(
        "std: try_send, the receiver having given up",
        sender.try_send("second").is_ok(),
        "false",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
