//! The payload with which a cancelled fiber unwinds.

use std::any::Any;
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
    /// Called when the unwinding ends, with the address of the chain whose unwinding it is. `Some` while the payload's fiber
    /// unwinds with it.
    ///
    /// The type is public, and the joiner of a cancelled fiber may go on unwinding with the payload: that is a panic, and not a
    /// cancellation of the joiner.
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

    /// The payload of an unwinding of the calling fiber for a reason that is not the runtime's.
    pub(crate) fn thrown() -> Self {
        Self::to(Target::Fiber, |_| (), 0)
    }

    /// Whether `payload`, which the caller has just caught, is the payload of the caller's own cancellation. If a join has returned
    /// the payload of another fiber's cancellation, and the caller has resumed unwinding with it, that is a panic like any other.
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    /// use abaca::Cancelled;
    /// # abaca::run(|| {
    /// let other = abaca::spawn(abaca::park);
    /// other.cancel();
    /// let join = AssertUnwindSafe(|| resume_unwind(other.join().unwrap_err()));
    /// let payload = catch_unwind(join).unwrap_err();
    /// assert!(payload.is::<Cancelled>() && !Cancelled::is_own(&*payload));
    /// # });
    /// ```
    pub fn is_own(payload: &(dyn Any + Send)) -> bool {
        payload.downcast_ref::<Self>().is_some_and(|cancelled| cancelled.on_drop.is_some())
    }

    /// [`is_own`](Self::is_own) for a caller at which the unwinding ends. Afterwards the payload is no longer anyone's own.
    #[cold]
    pub(crate) fn end_unwinding(payload: &mut (dyn Any + Send)) -> bool {
        let on_drop = payload.downcast_mut::<Self>().and_then(|cancelled| cancelled.on_drop.take());
        if let Some((on_drop, whose)) = on_drop {
            on_drop(whose);
        }
        on_drop.is_some()
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
