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
    /// Present while its fiber unwinds with it.
    ///
    /// The type is public, and who joins a cancelled fiber may go on unwinding with what it gets: that is a panic, and no
    /// cancellation of the one who joins.
    under_way: Option<UnderWay>,
}

/// The unwinding of a cancelled fiber (or thread), for as long as its payload is there.
#[derive(Clone, Copy)]
pub(crate) struct UnderWay {
    /// The address of what only the fiber has.
    pub(crate) whose: usize,
    /// Whether that is the caller's.
    pub(crate) is_callers: fn(usize) -> bool,
    /// Told of the end of it.
    pub(crate) end: fn(usize),
}

impl Cancelled {
    pub(crate) fn new() -> Self {
        Self { target: Target::Fiber, under_way: None }
    }

    /// The payload of an unwinding to `target`.
    pub(crate) fn to(target: Target, under_way: UnderWay) -> Self {
        Self { target, under_way: Some(under_way) }
    }

    /// The payload of an unwinding of the calling fiber for a reason that is not the runtime's.
    pub(crate) fn thrown() -> Self {
        Self::to(Target::Fiber, UnderWay { whose: 0, is_callers: |_| true, end: |_| () })
    }

    /// Whether `payload`, which the caller has just caught, is that of the caller's own cancellation. The payload of another fiber's
    /// cancellation, which a join has returned or that fiber has caught and handed over, and with which the caller has gone on
    /// unwinding, is a panic like any other.
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    /// use abaca::Cancelled;
    /// # abaca::run(|| {
    /// let other = abaca::spawn(abaca::park);
    /// other.cancel();
    /// let payload = other.join().unwrap_err();
    /// let payload = catch_unwind(AssertUnwindSafe(|| resume_unwind(payload))).unwrap_err();
    /// assert!(payload.is::<Cancelled>() && !Cancelled::is_own(&*payload));
    /// # });
    /// ```
    pub fn is_own(payload: &(dyn Any + Send)) -> bool {
        payload
            .downcast_ref::<Self>()
            .and_then(|cancelled| cancelled.under_way)
            .is_some_and(UnderWay::is_callers)
    }

    /// [`is_own`](Self::is_own), by one with whom the unwinding ends. What is handed on then is only the news of it.
    #[cold]
    pub(crate) fn land(payload: &mut (dyn Any + Send)) -> bool {
        let landed = payload.downcast_mut::<Self>().and_then(|cancelled| cancelled.under_way.take());
        let is_own = landed.is_some_and(UnderWay::is_callers);
        if let Some(landed) = landed {
            (landed.end)(landed.whose);
        }
        is_own
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }
}

impl UnderWay {
    fn is_callers(self) -> bool {
        (self.is_callers)(self.whose)
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(ended) = self.under_way {
            (ended.end)(ended.whose);
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
