//! Cancellation: the payload with which a cancelled fiber unwinds.
//!
//! Layer 3 in spirit: it is a value that every layer above may throw, join or recognise.

use std::fmt;

/// Why a join failed when its fiber was cancelled: the payload of the unwinding.
///
/// ```
/// let runtime = abaca::Runtime::new().unwrap();
/// let handle = runtime.spawn(|| abaca::park());
/// runtime.shutdown(std::time::Duration::from_secs(5)).unwrap();
/// let payload = handle.join().unwrap_err();
/// assert!(payload.is::<abaca::Cancelled>());
/// ```
#[derive(Debug)]
pub struct Cancelled(());

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fiber was cancelled because its runtime shut down")
    }
}

impl std::error::Error for Cancelled {}
