#!/usr/bin/env bash
# Rust std Command: a child inherits the signal mask of the *thread* that starts it; only SIGPIPE is tidied up.
#
# One would expect that a child of Command starts with all signals unblocked: std clears up SIGPIPE, which it
# ignores itself, and a mask is a matter of one thread of ours.
# A child started on a thread that blocks SIGTERM cannot be ended by SIGTERM, nor can its children. The same
# Command on another thread gives an ordinary child.
# It matters to programs whose workers block signals because one thread takes them all by sigwait or signalfd:
# whatever the workers start outlives `kill`, time-outs that send SIGTERM, and the service manager's polite stop.
# Seen with Rust 1.95.
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
libc = "=0.2.191"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

/// The signal that ended a child which would run for one second.
fn ended_by(signal: i32) -> Option<i32> {
    let mut child = Command::new("sleep").arg("1").spawn().unwrap();
    // SAFETY: the child has not been waited for, so the number is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    child.wait().unwrap().signal()
}

fn block(signal: i32) {
    // SAFETY: the set is initialised before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        assert_eq!(
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()),
            0
        );
    }
}

fn main() {
    let blocking = thread::spawn(|| {
        block(libc::SIGTERM);
        (ended_by(libc::SIGTERM), ended_by(libc::SIGPIPE))
    });
    let (term, pipe) = blocking.join().unwrap();
    see(
        "started by a thread that blocks SIGTERM, SIGTERM",
        term,
        "None",
    );
    see(
        "started by a thread that blocks SIGTERM, SIGPIPE",
        pipe,
        "Some(13)",
    );
    see(
        "started by another thread, SIGTERM",
        ended_by(libc::SIGTERM),
        "Some(15)",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
rustc --version
target/debug/see
