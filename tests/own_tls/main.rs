//! Fibers with thread-local storage of their own: what is theirs, what they hold when they move between threads, how a worker
//! leaves a thread that is stuck, and what libc, libraries and the kernel refuse or ask of them.
//!
//! `bash .ci/run own-tls-all` runs the other tests once more with such fibers.

mod c;
mod crowds;
mod debugger;
mod ends;
mod exceptions;
mod floats;
mod handoff;
mod hogs;
mod lending;
mod libraries;
mod limits;
mod moves;
mod page_fault;
mod process;
mod quiet;
mod resting;
mod seen;
mod storage;
mod storm;
mod unsupported;

use std::process::{Command, Output};

use abaca::Runtime;
use abaca::runtime::Builder;
use abaca_tests::leaks;

/// A runtime whose fibers have storage of their own.
fn own() -> Builder {
    leaks::expect_own_storage();
    Runtime::builder().own_tls(true)
}

/// The same with that many workers.
fn runtime(workers: usize) -> Runtime {
    own().workers(workers).build().expect("this machine can have it")
}

/// The environment variable that a child process of a test has.
const CHILD: &str = "OWN_TLS_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The named test of this binary, to be run again in a process of its own, where [`is_child`] says so.
fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test has a path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
}

/// Runs a [`command`], which succeeds.
fn passes(mut command: Command) -> Output {
    let output = command.output().expect("the child starts");
    assert!(output.status.success(), "{output:?}");
    output
}
