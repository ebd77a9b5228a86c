//! A bound: the timer of a wait that the time of a boundary may end, if the fiber can unwind to it then.

#![expect(unsafe_code, reason = "timers hold addresses of what lies on the stacks of parked fibers")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::time::Instant;

use super::cancel::expires;
use super::worker::Worker;
use crate::cell::{Header, Outcome, Waiter, Woken};
use crate::timer::Entry;

/// What the entry of such a wait names as its owner. It lies in the frame in which the fiber waits.
pub(crate) struct Bound<'a> {
    pub(crate) fiber: NonNull<Header>,
    pub(crate) waiter: &'a Waiter,
    /// When the next boundary fires, if one does.
    pub(crate) at: Cell<Option<Instant>>,
    /// When the wait ends by itself, in nanoseconds on the clock of the timers.
    pub(crate) own_ns: Option<u64>,
    /// Set if the boundary has ended the wait.
    pub(crate) has_ended_wait: &'a Cell<bool>,
}

/// The bit of an entry's owner that says that it is a bound, and no waiter.
const BOUND: usize = 1;

const _: () = assert!(align_of::<Bound<'_>>() > BOUND && align_of::<Waiter>() > BOUND);

impl Bound<'_> {
    pub(crate) fn to_owner(&self) -> *const () {
        ptr::from_ref(self).cast::<()>().map_addr(|address| address | BOUND)
    }

    /// The bound of an entry that has one.
    #[inline]
    pub(super) fn of<'a>(entry: NonNull<Entry>) -> Option<&'a Self> {
        // SAFETY: an entry of the wheel is on the stack of the fiber that waits with it.
        let owner = unsafe { entry.as_ref() }.owner();
        if owner.addr() & BOUND == 0 {
            return None;
        }
        // SAFETY: the bit was set by `to_owner`; the bound lies beside the entry, on the stack of a fiber that waits.
        Some(unsafe { &*owner.map_addr(|address| address & !BOUND).cast() })
    }
}

impl Worker {
    /// The time of `bound` is up, or if that has passed before, the wait's own.
    #[cold]
    pub(super) fn expire_bound(&self, entry: NonNull<Entry>, bound: &Bound<'_>) {
        // SAFETY: the fiber waits with a timer of this worker's wheel, so it is parked here, where we are in the hub.
        let fiber = unsafe { bound.fiber.as_ref() };
        let own_ns = bound.own_ns.unwrap_or(u64::MAX);
        // The timer was set to whichever comes first.
        let at = bound.at.get().filter(|at| self.shared().ns_at(*at) <= own_ns);
        // SAFETY: as above.
        let is_bound = at.is_some_and(|at| unsafe { expires(fiber, bound.waiter, at) });
        if let Some(at) = at.filter(|_| !is_bound) {
            // A boundary inside of what is in the way may be next.
            let next = fiber.boundaries.nearest_after(at);
            bound.at.set(next);
            let next_ns = next.map_or(u64::MAX, |next| self.shared().ns_at(next)).min(own_ns);
            if next_ns != u64::MAX {
                // SAFETY: it stays in place until the fiber goes on, and has just been taken out of this wheel.
                unsafe { self.wheel.insert(entry.as_ref(), next_ns) };
            }
            return;
        }
        if let Some(Woken::Fiber(fiber)) = bound.waiter.claim(Outcome::TimedOut) {
            bound.has_ended_wait.set(is_bound);
            self.make_ready(fiber);
        }
    }
}
