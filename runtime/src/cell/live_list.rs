//! The list of the started fibers of one worker, or of the roaming fibers of a runtime: for shutdown and for dumps.

#![expect(unsafe_code, reason = "an intrusive list of cells")]

use std::cell::Cell;
use std::ptr::NonNull;

use super::Header;
use crate::os::peek;
use crate::queue::{Count, Ring};

/// A ring of headers, newest first. The list's owner also owns its members' links.
#[derive(Debug)]
pub(crate) struct LiveList {
    members: Ring<Header>,
    inserted: Count,
    removed: Count,
    /// How many members are threads to the program. For the list's owner.
    threads: Cell<usize>,
    /// The next member of the current walk.
    walk: Cell<Option<NonNull<Header>>>,
}

// SAFETY: the list holds pointers only; its owner decides which thread uses it, and with it the ring and the members' links.
unsafe impl Send for LiveList {}

impl LiveList {
    /// Where the address of the first member is; for debuggers.
    pub(crate) const FIRST: usize = std::mem::offset_of!(Self, members);

    pub(crate) const fn new() -> Self {
        Self {
            members: Ring::new(),
            inserted: Count::new(),
            removed: Count::new(),
            threads: Cell::new(0),
            walk: Cell::new(None),
        }
    }

    /// How many members were ever inserted, and removed. From any thread.
    pub(crate) fn counts(&self) -> (u64, u64) {
        // The removed ones first: no more of them than of the others are seen.
        let removed = self.removed.get();
        (self.inserted.get(), removed)
    }

    /// The number of members. From any thread, which may see that of a moment ago.
    pub(crate) fn len(&self) -> usize {
        let (inserted, removed) = self.counts();
        inserted.saturating_sub(removed) as usize
    }

    /// # Safety
    ///
    /// `fiber` is alive, in no such list, and stays alive until it is removed.
    #[inline]
    pub(crate) unsafe fn insert(&self, fiber: NonNull<Header>) {
        // SAFETY: the caller's promise. A header stays where it is, and live lists are the only rings of headers.
        unsafe { self.members.push_front(fiber) };
        self.inserted.add(1);
        // SAFETY: as above.
        self.threads.set(self.threads.get() + usize::from(unsafe { fiber.as_ref() }.is_thread()));
    }

    /// # Safety
    ///
    /// `fiber` is in this list.
    #[inline]
    pub(crate) unsafe fn remove(&self, fiber: NonNull<Header>) {
        if self.walk.get() == Some(fiber) {
            // SAFETY: the caller's promise: it is in the ring.
            self.walk.set(unsafe { self.members.after(fiber) });
        }
        // SAFETY: as above.
        unsafe { self.members.unlink(fiber) };
        self.removed.add(1);
        // SAFETY: as above.
        self.threads.set(self.threads.get() - usize::from(unsafe { fiber.as_ref() }.is_thread()));
    }

    /// Whether all members are threads to the program. From the list's owner.
    pub(crate) fn has_only_threads(&self) -> bool {
        self.threads.get() == self.len()
    }

    /// Begins a walk over the current members, newest first. The walk skips members that are inserted later, or removed before
    /// it reaches them.
    pub(crate) fn begin_walk(&self) {
        self.walk.set(self.members.first());
    }

    /// The next member on the walk.
    pub(crate) fn walk(&self) -> Option<NonNull<Header>> {
        let fiber = self.walk.get()?;
        // SAFETY: the walk's next member is in the ring, since `remove` moves the walk on.
        self.walk.set(unsafe { self.members.after(fiber) });
        Some(fiber)
    }

    /// The first member of a list of another thread, at some moment. `None` if it is empty, or if the kernel does not let the
    /// process read its own memory this way.
    pub(crate) fn peek_first(this: *const Self) -> Option<NonNull<Header>> {
        let place = this.wrapping_byte_add(std::mem::offset_of!(Self, members)).cast::<*mut Header>();
        // SAFETY: the copy is an address, which is not followed.
        NonNull::new(unsafe { peek::value(place)?.assume_init() })
    }

    /// Calls `visit` for each member, newest first. `visit` must not change the list.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Header)) {
        let mut at = self.members.first();
        while let Some(fiber) = at {
            // SAFETY: members are alive, and `visit` leaves the ring alone.
            visit(unsafe { fiber.as_ref() });
            // SAFETY: as above.
            at = unsafe { self.members.after(fiber) };
        }
    }
}
