//! The limits of a pool, and its metrics.

use std::io;
use std::time::Duration;

/// The limits of a pool: its most threads, and how long an idle thread stays.
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
    /// * [`ErrorKind::InvalidInput`](io::ErrorKind::InvalidInput): `max_threads` is 0.
    pub(crate) fn check(self) -> io::Result<Self> {
        match self.max_threads {
            0 => Err(io::Error::new(io::ErrorKind::InvalidInput, "a blocking pool has at least 1 thread")),
            _ => Ok(self),
        }
    }
}

/// A snapshot of a blocking pool's counts; see [`metrics`](crate::blocking::metrics) and
/// [`Runtime::blocking_metrics`](crate::Runtime::blocking_metrics).
///
/// ```
/// # abaca::run(|| {
/// abaca::blocking::run(|| ());
/// let metrics = abaca::blocking::metrics();
/// assert_eq!((metrics.threads, metrics.completed), (1, 1));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// The number of threads, idle ones included.
    pub threads: usize,
    /// The number of idle threads, which wait for a job.
    pub idle: usize,
    /// The number of jobs that no thread has taken yet.
    pub queued: usize,
    /// The number of jobs that have ended, including those that panicked or ran in place. Jobs that were cancelled before a
    /// thread took them do not count.
    pub completed: u64,
    /// The largest number of threads so far.
    pub peak: usize,
}
