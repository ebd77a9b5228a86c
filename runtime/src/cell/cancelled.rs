//! The payload with which a cancelled fiber unwinds.

use std::any::Any;
use std::fmt;

use super::FiberId;
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
    /// The unwinding with this payload. `Some` while the payload's fiber unwinds with it.
    ///
    /// The type is public, and the joiner of a cancelled fiber may go on unwinding with the payload: that is a panic, and not a
    /// cancellation of the joiner.
    under_way: Option<UnderWay>,
}

/// The unwinding of a cancelled fiber or plain thread, for as long as its payload is there.
#[derive(Clone, Copy)]
pub(crate) struct UnderWay {
    /// The fiber or thread that unwinds. The payload may outlive it, so an address would not do. `None`: whoever holds the payload.
    pub(crate) whose: Option<FiberId>,
    /// Tells this unwinding from others of the same fiber: another may begin in a destructor's or callback's wait while somebody keeps
    /// this one's payload.
    pub(crate) number: u64,
    /// Whether the caller has this id.
    pub(crate) is_callers: fn(FiberId) -> bool,
    /// Called when the unwinding ends, with its number.
    pub(crate) end: fn(FiberId, u64),
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
        Self::to(Target::Fiber, UnderWay { whose: None, number: 0, is_callers: |_| false, end: |_, _| () })
    }

    /// Whether `payload`, which the caller has just caught, is the payload of the caller's own cancellation. If a join has returned
    /// the payload of another fiber's cancellation, or that fiber has caught it and passed it on, and the caller has resumed
    /// unwinding with it, that is a panic like any other.
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
        payload
            .downcast_ref::<Self>()
            .and_then(|cancelled| cancelled.under_way)
            .is_some_and(UnderWay::is_callers)
    }

    /// [`is_own`](Self::is_own) for a caller at which the unwinding ends. Afterwards the payload is no longer anyone's own.
    #[cold]
    pub(crate) fn end_unwinding(payload: &mut (dyn Any + Send)) -> bool {
        let under_way = payload.downcast_mut::<Self>().and_then(|cancelled| cancelled.under_way.take());
        let is_own = under_way.is_some_and(UnderWay::is_callers);
        if let Some(ended) = under_way {
            ended.end();
        }
        is_own
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }
}

impl UnderWay {
    fn is_callers(self) -> bool {
        self.whose.is_none_or(self.is_callers)
    }

    fn end(self) {
        if let Some(whose) = self.whose {
            (self.end)(whose, self.number);
        }
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(ended) = self.under_way {
            ended.end();
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
