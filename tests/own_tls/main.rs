//! Fibers with thread-local storage of their own: what is theirs, what they hold when they move between threads, and how a worker
//! leaves a thread that is stuck.
//!
//! `bash .ci/run own-tls` runs these, and the other tests once more with such fibers.

mod handoff;
mod hogs;
mod moves;
mod quiet;

use abaca::Runtime;
use abaca_tests as _;

/// A runtime with that many workers, whose fibers have storage of their own.
fn runtime(workers: usize) -> Runtime {
    Runtime::builder().own_tls(true).workers(workers).build().expect("this machine can have it")
}
