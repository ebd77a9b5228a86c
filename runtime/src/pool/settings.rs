//! How large a pool may be, and what it is doing.

use std::io;
use std::time::Duration;

/// How many threads a pool may have, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) max_threads: usize,
    pub(crate) keep_alive: Duration,
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

/// What a blocking pool is doing: a snapshot, see [`gauges`](crate::blocking::gauges) and
/// [`Runtime::blocking_gauges`](crate::Runtime::blocking_gauges).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gauges {
    /// Threads that exist, idle ones included.
    pub threads: usize,
    /// Threads that have nothing to do and wait for it.
    pub idle: usize,
    /// Jobs that no thread has taken yet.
    pub queued: usize,
    /// Jobs that have ended, also those that panicked or ran in place; not those taken back.
    pub completed: u64,
    /// The most threads there have been at once.
    pub peak: usize,
}
