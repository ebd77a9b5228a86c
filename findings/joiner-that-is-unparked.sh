#!/usr/bin/env bash
# loom: a thread that waits in JoinHandle::join must not be unparked; with std's threads that is harmless.
#
# One would expect that unpark leaves a token for the thread's next park, and nothing else: so std documents it,
# and a thread that joins another goes on joining.
# In loom the unpark wakes the joining thread, which has not been told that the other has ended: the model panics
# in one of loom's own assertions, which says nothing of park or join.
# It matters to whoever models a wait list whose wakers claim a waiter first and unpark it afterwards: the waiter
# may have seen the claim and be on its way to join the waker. The model fails although nothing is wrong; a thread
# that only joins, beside the one that waits, avoids it.
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
use std::panic::catch_unwind;

fn see(what: &str, got: bool, surprise: bool) {
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn main() {
    println!("a thread unparks the one that joins it");
    let me = std::thread::current();
    let other = std::thread::spawn(move || me.unpark());
    see("std: joined", other.join().is_ok(), true);
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(|| {
        loom::model(|| {
            let me = loom::thread::current();
            let other = loom::thread::spawn(move || me.unpark());
            other.join().unwrap();
        });
    });
    see("loom 0.7.3: joined in all interleavings", result.is_ok(), false);
    let payload = result.unwrap_err();
    let words = payload.downcast_ref::<&str>().map(|words| words.to_string());
    let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap();
    println!("  it says: {words}");
    see("its words name park or join", words.contains("park") || words.contains("join"), false);
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
