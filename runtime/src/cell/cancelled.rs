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
pub struct Cancelled {
    target: Target,
    /// Told of the payload's end, with the address of whose unwinding it was.
    flight: Option<(fn(usize), usize)>,
}

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self { target: Target::Fiber, flight: None }
    }

    /// The payload of an unwinding of `whose` to `target`; `landed` is called with `whose` when it is dropped.
    pub(crate) fn to(target: Target, landed: fn(usize), whose: usize) -> Self {
        Self { target, flight: Some((landed, whose)) }
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some((landed, whose)) = self.flight {
            landed(whose);
        }
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancelled").field(&self.target).finish()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fiber was cancelled")
    }
}

impl std::error::Error for Cancelled {}
