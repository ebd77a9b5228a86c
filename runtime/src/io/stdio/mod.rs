//! The standard streams, for fibers and plain threads: reads, writes and locks park the fiber.
//!
//! The process that started this one shares their open files, so their mode is left alone (`io/shared_file.rs`).
//!
//! They are statics, since the streams, and what was read ahead of them, belong to the process. They are not std's. Lines from
//! [`std::println!`] and from here arrive whole and in order; but std's standard input has a buffer of its own, so a program
//! reads from one of the two. The test harness captures only what goes through std.

mod input;
mod output;
mod raw;
mod reentrant;

pub use input::{Stdin, StdinLock, stdin};
pub use output::{Stderr, StderrLock, Stdout, StdoutLock, eprint, print, stderr, stdout};
