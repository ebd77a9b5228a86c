//! A deadline around any blocking code.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::cell::Boundary;
use crate::park::run_inside;
use crate::park::{self, Cost};

/// The error of [`timeout`]: the time was up before the code had come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(error: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// Runs `f` for at most `duration`: when the time is up, `f` unwinds from the blocking call it is in, or from its next one.
///
/// Timeouts nest: the one whose time is up first ends its own code, and if several are, the outermost does. Code
/// that does not block, or is inside of [`cancel::shield`](crate::cancel::shield), is not interrupted; when it returns
/// after all, its result counts. Fibers that `f` has spawned go on, except those in a [`scope`](crate::scope()). A zero
/// duration lets `f` run until it would block.
///
/// A plain thread may use it as well.
///
/// # Errors
///
/// [`Elapsed`], when the time was up.
///
/// # Panics
///
/// If `f` panics; and with `panic = "abort"`, since there is no unwinding then.
///
/// ```
/// use std::time::Duration;
/// use abaca::time::{Elapsed, timeout};
/// # abaca::run(|| {
/// let late = timeout(Duration::from_millis(1), || abaca::sleep(Duration::from_secs(3600)));
/// assert!(late.is_err());
///
/// // It works as an `io::Error` as well.
/// let error = std::io::Error::from(late.unwrap_err());
/// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
/// # });
/// ```
pub fn timeout<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    match Instant::now().checked_add(duration) {
        Some(deadline) => timeout_at(deadline, f),
        // Beyond the clock's range: it never comes.
        None => {
            park::spend(Cost::Wait);
            Ok(f())
        }
    }
}

/// [`timeout`] with a point in time.
///
/// # Errors
///
/// [`Elapsed`], when the time was up.
///
/// # Panics
///
/// As [`timeout`].
///
/// ```
/// use std::time::Instant;
/// # abaca::run(|| {
/// assert!(abaca::time::timeout_at(Instant::now(), || abaca::park()).is_err());
/// # });
/// ```
pub fn timeout_at<T>(deadline: Instant, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    park::spend(Cost::Wait);
    run_inside(&mut Boundary::deadline(deadline), |_| f()).ok_or(Elapsed(()))
}
