//! A timer: the entry that a wait with a deadline puts into a [`Wheel`](super::Wheel).

use std::cell::Cell;
use std::fmt;
use std::ptr;

use super::nodes::Node;

/// One deadline. It lives on the stack of the waiting fiber, and is in a wheel between `insert` and either `cancel` or the
/// callback of `expire`.
///
/// All fields are cells, so the wheel works on it through shared references. Only the wheel's thread uses it.
pub(crate) struct Entry {
    /// The node that stands for it in a wheel; null if it is in none.
    pub(super) node: Cell<*const Node>,
    owner: Cell<*const ()>,
    /// A node for a wheel that has few timers, or gets no memory.
    pub(super) own: Node,
}

// It shares one page of the stack with everything else that a parked fiber keeps.
const _: () = assert!(size_of::<Entry>() <= 48);

impl Entry {
    /// A timer in no wheel. `owner` is a pointer that only its user interprets.
    #[inline]
    pub(crate) const fn new(owner: *const ()) -> Self {
        Self { node: Cell::new(ptr::null()), owner: Cell::new(owner), own: Node::new() }
    }

    /// The pointer that [`new`](Self::new) was given.
    #[inline]
    pub(crate) fn owner(&self) -> *const () {
        self.owner.get()
    }

    /// Whether it is in a wheel.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        !self.node.get().is_null()
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
