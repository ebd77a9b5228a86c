#!/usr/bin/env bash
# Linux io_uring: a listener that is closed while an accept is pending goes on listening, and serves one more
# client.
#
# One would expect that close(2) of the last descriptor of a listener frees its port and refuses clients, whether
# or not somebody waits in accept; epoll, which forgets a descriptor that is closed, works so.
# A request in the ring holds the open file. After the close the port is taken (EADDRINUSE), clients connect, and
# the next one is accepted into a ring whose owner has closed the listener. Only when that request is done is the
# listener gone. The same goes for a read of a pipe: the writer gets no EPIPE, its bytes arrive.
# It matters to runtimes on io_uring: "drop closes the socket" is true only once every request has been cancelled
# and its completion been seen; until then a restart of the server in the same process fails.
# Seen with Linux 6.18, io-uring 0.7.15.
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
io-uring = "=0.7.15"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use io_uring::{opcode, squeue, types::Fd, IoUring};
use std::io::{pipe, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn begin(ring: &mut IoUring, request: squeue::Entry) {
    // SAFETY: the buffer of each request here outlives its completion.
    unsafe { ring.submission().push(&request).unwrap() };
    ring.submit().unwrap();
}

fn completed(ring: &mut IoUring) -> i32 {
    ring.submit_and_wait(1).unwrap();
    ring.completion().next().unwrap().result()
}

fn main() {
    println!("io-uring 0.7.15");
    let mut ring = IoUring::new(4).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    begin(
        &mut ring,
        opcode::Accept::new(Fd(listener.as_raw_fd()), null_mut(), null_mut()).build(),
    );
    drop(listener);
    println!("an accept was pending when the listener was closed");
    let bind = || TcpListener::bind(address).map(drop).map_err(|e| e.kind());
    let connect = || TcpStream::connect(address).map(drop).map_err(|e| e.kind());
    see("another bind to the port", bind(), "Err(AddrInUse)");
    see("a client", connect(), "Ok(())");
    see(
        "the accept brings a connection",
        completed(&mut ring) >= 0,
        "true",
    );
    see("the next client", connect(), "Err(ConnectionRefused)");

    let (reader, mut writer) = pipe().unwrap();
    let mut buffer = [0; 4];
    begin(
        &mut ring,
        opcode::Read::new(Fd(reader.as_raw_fd()), buffer.as_mut_ptr(), 4).build(),
    );
    drop(reader);
    println!("a read was pending when the reading end of a pipe was closed");
    see(
        "a write",
        writer.write(b"abc").map_err(|e| e.kind()),
        "Ok(3)",
    );
    see("the read", completed(&mut ring), "3");
    see(
        "the next write",
        writer.write(b"abc").map_err(|e| e.kind()),
        "Err(BrokenPipe)",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
