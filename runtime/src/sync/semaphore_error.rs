//! What an acquisition of a semaphore's permits ends in, if not in permits.

use std::fmt;

/// The semaphore was closed.
#[derive(Debug)]
pub struct AcquireError(());

impl AcquireError {
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Permits could not be taken without waiting, or in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// There are not enough free permits; or, after a timeout, there were not in time.
    NoPermits,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "semaphore closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl std::error::Error for AcquireError {}
impl std::error::Error for TryAcquireError {}
