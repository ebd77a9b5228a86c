//! The payload with which a cancelled fiber unwinds.

use std::any::Any;
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
    /// Present while its fiber unwinds with it. Told of the end of that, with the address of whose unwinding it is.
    ///
    /// The type is public, and who joins a cancelled fiber may go on unwinding with what it gets: that is a panic, and no
    /// cancellation of the one who joins.
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

    /// The payload of an unwinding of the calling fiber for a reason that is not the runtime's.
    pub(crate) fn thrown() -> Self {
        Self::to(Target::Fiber, |_| (), 0)
    }

    /// Whether `payload` is that of a cancellation of the caller, who has just caught it; and not of another fiber that the
    /// caller has joined, and with whose payload it has gone on unwinding: that is a panic as any.
    ///
    /// ```
    /// use std::panic::{catch_unwind, resume_unwind};
    /// use abaca::Cancelled;
    /// # abaca::run(|| {
    /// let other = abaca::spawn(abaca::park);
    /// other.cancel();
    /// let payload = catch_unwind(|| resume_unwind(other.join().unwrap_err())).unwrap_err();
    /// assert!(payload.is::<Cancelled>() && !Cancelled::is_own(&*payload));
    /// # });
    /// ```
    pub fn is_own(payload: &(dyn Any + Send)) -> bool {
        payload.downcast_ref::<Self>().is_some_and(|cancelled| cancelled.flight.is_some())
    }

    /// [`is_own`](Self::is_own), by one with whom the unwinding ends. What is handed on then is only the news of it.
    #[cold]
    pub(crate) fn land(payload: &mut (dyn Any + Send)) -> bool {
        let flight = payload.downcast_mut::<Self>().and_then(|cancelled| cancelled.flight.take());
        if let Some((landed, whose)) = flight {
            landed(whose);
        }
        flight.is_some()
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
