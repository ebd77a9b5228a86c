//! `abaca::blocking`, `fs`, `io`, `process` and `signal`: calls that wait for the operating system.
//!
//! Many of these tests start children, each of which has copies of this process's descriptors until it executes its
//! program. So a descriptor that a test closes may stay open for a little longer.

mod blocking;
mod blocking_owned;
mod children;
mod children_late;
mod exhaustion;
mod fifo;
mod fs;
mod fs_oracle;
mod handlers;
mod process;
mod signal;
mod sockets;
mod stdio;
mod stdio_limits;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use abaca::Runtime;

/// A runtime with one worker, on which a fiber that blocks the worker holds up all others.
fn one_worker() -> Runtime {
    abaca_tests::with_workers_on_their_threads().workers(1).build().unwrap()
}

/// Runs other fibers until `condition` holds.
fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        abaca::yield_now();
    }
}

/// A directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("abaca-system-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the named test of this binary again, where `ROLE` is set, through `sh`, whose script ends in `"$@"`.
fn in_child(test: &str, script: &str) -> Output {
    let this = std::env::current_exe().expect("this test has a path");
    // A child that hangs fails the test, and does not hang it.
    let mut command = Command::new("timeout");
    command.args(["-k", "10", "300", "sh", "-c", script, "sh"]).arg(this).args([
        "--exact",
        test,
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env("ROLE", "child").output().expect("the child starts")
}

fn is_child() -> bool {
    std::env::var_os("ROLE").is_some()
}
