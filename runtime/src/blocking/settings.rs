//! The pool's part of the runtime's builder and of the runtime.

use std::io;
use std::time::Duration;

use super::Gauges;
use crate::runtime::{Builder, Runtime};

/// How many threads a pool may have, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(super) max_threads: usize,
    pub(super) keep_alive: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_threads: 512, keep_alive: Duration::from_secs(10) }
    }
}

impl Settings {
    /// # Errors
    ///
    /// `InvalidInput` for a pool without threads.
    pub(crate) fn check(self) -> io::Result<Self> {
        match self.max_threads {
            0 => Err(io::Error::new(io::ErrorKind::InvalidInput, "a blocking pool has at least 1 thread")),
            _ => Ok(self),
        }
    }
}

impl Builder {
    /// How many threads the [`blocking`](crate::blocking) pool may have, 1 or more. Default: 512.
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.blocking.max_threads = threads;
        self
    }

    /// How long a thread of the [`blocking`](crate::blocking) pool stays without work before it ends; zero ends it
    /// at once. Default: 10 seconds.
    pub fn blocking_keep_alive(mut self, keep_alive: Duration) -> Self {
        self.blocking.keep_alive = keep_alive;
        self
    }
}

impl Runtime {
    /// What the runtime's [`blocking`](crate::blocking) pool is doing.
    ///
    /// ```
    /// let runtime = abaca::Runtime::builder().workers(1).max_blocking_threads(4).build().unwrap();
    /// runtime.run(|| abaca::blocking::run(|| ()));
    /// assert_eq!(runtime.blocking_gauges().completed, 1);
    /// ```
    pub fn blocking_gauges(&self) -> Gauges {
        self.shared.blocking.gauges()
    }
}
