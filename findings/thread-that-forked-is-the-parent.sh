#!/usr/bin/env bash
# tokio spawn_blocking and PR_SET_PDEATHSIG: a child that dies "with its parent" dies when a pool thread is idle.
#
# One would expect that a child which asked for a signal at its parent's death gets it when the parent *process*
# ends.
# The kernel means the thread that forked. A child started in spawn_blocking has a thread of tokio's pool for a
# parent, and the pool ends a thread that had nothing to do for some seconds: the child is killed while the
# process, which waits for it, goes on. In the test all is well, since nothing is idle for that long.
# It matters to supervisors that start their children in spawn_blocking (std's Command is a blocking call, after
# all) and add PR_SET_PDEATHSIG against orphans. Start them on a thread that outlives them.
# Seen with tokio 1.54.1 (the idle time is set to 100 ms here), Linux 6.18.
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
tokio = { version = "=1.54.1", features = ["rt-multi-thread"] }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn see(what: &str, got: impl std::fmt::Debug, surprise: &str) {
    let got = format!("{got:?}");
    println!("  {what}: {got}");
    if got != surprise {
        eprintln!("no longer so: {surprise} was expected");
        std::process::exit(1);
    }
}

fn start() -> Child {
    let mut command = Command::new("sleep");
    command.arg("2");
    // SAFETY: prctl may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        })
    };
    command.spawn().unwrap()
}

fn main() {
    println!("tokio 1.54.1, a child that would run for 2 s");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_keep_alive(Duration::from_millis(100))
        .build()
        .unwrap();
    let begin = Instant::now();
    let mut child = runtime.block_on(async { tokio::task::spawn_blocking(start).await.unwrap() });
    let signal = child.wait().unwrap().signal();
    println!("  after {} ms", begin.elapsed().as_millis());
    see(
        "started in spawn_blocking, ended by signal",
        signal,
        &format!("Some({})", libc::SIGTERM),
    );
    see(
        "started on the main thread, ended by signal",
        start().wait().unwrap().signal(),
        "None",
    );
}
RUST
export CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0
nice cargo build --quiet
target/debug/see
