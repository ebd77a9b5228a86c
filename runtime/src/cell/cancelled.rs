//! The payload with which a cancelled fiber unwinds.

use std::fmt;

use super::cancel_scope::Target;

/// The panic payload of a cancelled fiber. If a fiber ends by its cancellation, its join returns this as the error.
///
/// Code that catches panics should pass the payload on with [`resume_unwind`](std::panic::resume_unwind). A fiber that catches
/// it and goes on is not cancelled a second time.
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
    /// Called when the payload is dropped, with the address of the chain whose unwinding this was.
    on_drop: Option<(fn(usize), usize)>,
}

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self { target: Target::Fiber, on_drop: None }
    }

    /// The payload of an unwinding to `target`. `on_drop` is called with `whose` when it is dropped.
    pub(crate) fn to(target: Target, on_drop: fn(usize), whose: usize) -> Self {
        Self { target, on_drop: Some((on_drop, whose)) }
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some((on_drop, whose)) = self.on_drop {
            on_drop(whose);
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
