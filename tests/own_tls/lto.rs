//! The moves and the forced hand-offs alone, in a package with few dependencies: whole-program LTO is built of all of them.
//! `bash .ci/run roaming` runs them.

mod handoff;
mod moves;

use abaca::Runtime;
use abaca::runtime::Builder;

/// The builder of a runtime whose fibers have storage of their own.
fn own() -> Builder {
    Runtime::builder().own_tls(true)
}

/// The same with that many workers.
fn runtime(workers: usize) -> Runtime {
    own().workers(workers).build().expect("this machine can have it")
}
