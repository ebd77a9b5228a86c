//! A timer: the entry that a wait with a deadline puts into a [`Wheel`](super::Wheel).

#![expect(unsafe_code, reason = "it is an item of intrusive lists")]

use std::cell::Cell;
use std::fmt;

use crate::queue::{Linked, Links};

/// One deadline. It is intrusive: it lives on the stack of the waiting fiber, and is linked into a slot of a wheel between
/// `insert` and either `cancel` or the callback of `expire`.
///
/// All fields are cells, so the wheel works on it through shared references. Only the wheel's thread uses it.
pub(crate) struct Entry {
    /// The tick at which it is due; [`UNLINKED`](Self::UNLINKED) if it is in no wheel. Its level and slot follow
    /// from this and the wheel's time, so they are not stored.
    pub(super) tick: Cell<u64>,
    pub(super) links: Links<Entry>,
    owner: Cell<*const ()>,
}

// It shares one page of the stack with everything else that a parked fiber keeps.
const _: () = assert!(size_of::<Entry>() <= 48);

// SAFETY: `links` always returns the same field, which only the slots of wheels write.
unsafe impl Linked for Entry {
    #[inline(always)]
    fn links(&self) -> &Links<Self> {
        &self.links
    }
}

impl Entry {
    /// Not a real tick: the greatest one is 2^51.
    pub(super) const UNLINKED: u64 = u64::MAX;

    /// A timer in no wheel. `owner` is a pointer that only its user interprets.
    #[inline]
    pub(crate) const fn new(owner: *const ()) -> Self {
        Self { tick: Cell::new(Self::UNLINKED), links: Links::new(), owner: Cell::new(owner) }
    }

    /// The pointer that [`new`](Self::new) was given.
    #[inline]
    pub(crate) fn owner(&self) -> *const () {
        self.owner.get()
    }

    /// Whether it is in a wheel.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.tick.get() != Self::UNLINKED
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        debug_assert!(
            !self.is_linked() || std::thread::panicking(),
            "a timer left its stack frame while it was in a wheel"
        );
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("is_linked", &self.is_linked()).field("owner", &self.owner()).finish()
    }
}
