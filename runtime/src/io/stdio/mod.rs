//! The standard streams, for fibers and plain threads: reads and writes park the fiber, locks are fiber-aware.
//!
//! The open files behind them are shared with whoever started the process, so their mode is left alone
//! (`io/shared_file.rs`).
//!
//! Statics, though the runtime has none: the streams, and what was read ahead of them, belong to the process. They are not
//! std's: lines from [`std::println!`] and from here arrive whole and in order, but std's standard input has a buffer of its
//! own, so a program reads from one of the two. What the test harness captures is what goes through std.

mod input;
mod output;
mod raw;
mod reentrant;

pub use input::{Stdin, StdinLock, stdin};
pub use output::{Stderr, StderrLock, Stdout, StdoutLock, eprint, print, stderr, stdout};
