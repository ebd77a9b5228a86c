#!/usr/bin/env bash
# tokio UnixStream::connect: to a busy server it fails at once, where std's waits.
#
# One would expect that an async connect waits for what the blocking one waits for: over TCP it does.
# Linux has no "connect in progress" for Unix sockets: a non-blocking connect(2) to a server whose backlog is full
# is EAGAIN, and nothing tells when there is room (poll says POLLOUT and POLLHUP meanwhile). tokio hands that
# error on: `connect(..).await` is Err(WouldBlock), an error that async code does not expect to see at all.
# It matters to clients of a local daemon: a burst that std's clients sit out becomes errors. One must try again
# with a pause, or connect on a blocking thread.
# Seen with tokio 1.54.1, Linux 6.18.
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
tokio = { version = "=1.54.1", features = ["net", "rt", "time"] }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn main() {
    println!("tokio 1.54.1, a Unix listener that does not accept");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = UnixListener::bind("socket").unwrap();
    // SAFETY: a system call on our own descriptor. It makes the line short.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 2) }, 0);
    let mut waiting = Vec::new();
    // Until nobody can be put in line any more.
    let refusal = runtime.block_on(async {
        loop {
            match tokio::time::timeout(
                Duration::from_secs(5),
                tokio::net::UnixStream::connect("socket"),
            )
            .await
            {
                Ok(Ok(client)) => waiting.push(client),
                Ok(Err(error)) => break error.kind(),
                Err(_) => panic!("no longer so: it waits"),
            }
        }
    });
    println!("  {} clients are in line, which is full", waiting.len());
    see("tokio's next client", refusal, "WouldBlock");
    let std = std::thread::spawn(|| {
        UnixStream::connect("socket")
            .map(drop)
            .map_err(|e| e.kind())
    });
    std::thread::sleep(Duration::from_millis(300));
    see("std's client waits", !std.is_finished(), "true");
    listener.accept().unwrap();
    see(
        "std's client, one having been accepted",
        std.join().unwrap(),
        "Ok(())",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
