//! The moves and the forced hand-offs alone, in a package with few dependencies: whole-program LTO is built of all of them.
//! `bash .ci/run roaming` runs them.

mod handoff;
mod moves;

use abaca::Runtime;

/// A runtime with that many workers, whose fibers have storage of their own.
fn runtime(workers: usize) -> Runtime {
    Runtime::builder().own_tls(true).workers(workers).build().expect("this machine can have it")
}
