//! The payload with which a cancelled fiber unwinds.

use std::fmt;

use super::boundary::Target;

/// Why a join failed when its fiber was cancelled: the payload of the unwinding.
///
/// Code that catches panics should pass it on with [`resume_unwind`](std::panic::resume_unwind); a fiber that goes on
/// all the same is not cancelled a second time.
///
/// ```
/// # abaca::run(|| {
/// let handle = abaca::spawn(abaca::park);
/// handle.cancel();
/// let payload = handle.join().unwrap_err();
/// assert!(payload.is::<abaca::Cancelled>());
/// # });
/// ```
#[derive(Debug)]
pub struct Cancelled(Target);

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self(Target::Fiber)
    }

    pub(crate) fn to(target: Target) -> Self {
        Self(target)
    }

    pub(crate) fn target(&self) -> Target {
        self.0
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fiber was cancelled")
    }
}

impl std::error::Error for Cancelled {}
