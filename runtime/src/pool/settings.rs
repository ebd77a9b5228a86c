//! The limits of a pool, and its metrics.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The most threads of a pool, if nobody has said otherwise.
const MAX_THREADS: usize = 512;

/// Whether what is limited by default has no limit.
static ARE_LIFTED: AtomicBool = AtomicBool::new(false);

/// Lifts the limits of threads that nobody has set: the process's threads are fibers. Each call of theirs that waits in the kernel would have a
/// thread without abaca, and they may wait for each other.
#[cfg(feature = "own-tls")]
pub(crate) fn lift_limits() {
    // Relaxed: it publishes nothing.
    ARE_LIFTED.store(true, Ordering::Relaxed);
}

/// Whether the limits that nobody has set are lifted.
pub(crate) fn are_limits_lifted() -> bool {
    ARE_LIFTED.load(Ordering::Relaxed)
}

/// The limits of a pool: its most threads, and how long an idle thread stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `None` if nobody has said.
    pub(crate) max_threads: Option<usize>,
    pub(crate) keep_alive: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_threads: None, keep_alive: Duration::from_secs(10) }
    }
}

impl Settings {
    /// The most threads.
    pub(super) fn most(&self) -> usize {
        let by_default = || if are_limits_lifted() { usize::MAX } else { MAX_THREADS };
        self.max_threads.unwrap_or_else(by_default)
    }

    /// # Errors
    ///
    /// * [`ErrorKind::InvalidInput`](io::ErrorKind::InvalidInput): `max_threads` is 0.
    pub(crate) fn check(self) -> io::Result<Self> {
        match self.max_threads {
            Some(0) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "a blocking pool has at least 1 thread"))
            }
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
