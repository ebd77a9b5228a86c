//! The list of started fibers of one worker (or of the roaming ones of a runtime): for shutdown and for dumps.

#![expect(unsafe_code, reason = "an intrusive list of cells")]

use std::cell::Cell;
use std::ptr::NonNull;

use super::Header;

/// A doubly linked list through the headers, newest first. Whoever uses it also owns its members' links.
#[derive(Debug)]
pub(crate) struct LiveList {
    first: Cell<Option<NonNull<Header>>>,
    len: Cell<usize>,
    /// Where the walk that is under way goes on.
    walk: Cell<Option<NonNull<Header>>>,
}

// SAFETY: a list of pointers; its owner decides which thread uses it.
unsafe impl Send for LiveList {}

impl LiveList {
    pub(crate) const fn new() -> Self {
        Self { first: Cell::new(None), len: Cell::new(0), walk: Cell::new(None) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// # Safety
    ///
    /// `fiber` is alive, in no such list, and stays alive until it is removed.
    #[inline]
    pub(crate) unsafe fn insert(&self, fiber: NonNull<Header>) {
        // SAFETY: the caller's promise.
        let header = unsafe { fiber.as_ref() };
        let first = self.first.replace(Some(fiber));
        header.live_previous.set(None);
        header.live_next.set(first);
        if let Some(first) = first {
            // SAFETY: members are alive.
            unsafe { first.as_ref() }.live_previous.set(Some(fiber));
        }
        self.len.set(self.len.get() + 1);
    }

    /// # Safety
    ///
    /// `fiber` is in this list.
    #[inline]
    pub(crate) unsafe fn remove(&self, fiber: NonNull<Header>) {
        // SAFETY: the caller's promise.
        let header = unsafe { fiber.as_ref() };
        let (previous, next) = (header.live_previous.get(), header.live_next.get());
        match previous {
            // SAFETY: members are alive.
            Some(previous) => unsafe { previous.as_ref() }.live_next.set(next),
            None => self.first.set(next),
        }
        if let Some(next) = next {
            // SAFETY: members are alive.
            unsafe { next.as_ref() }.live_previous.set(previous);
        }
        if self.walk.get() == Some(fiber) {
            self.walk.set(next);
        }
        self.len.set(self.len.get() - 1);
    }

    /// Begins a walk over the members of now, newest first. What is inserted later is not visited, what is removed neither.
    pub(crate) fn begin_walk(&self) {
        self.walk.set(self.first.get());
    }

    /// The next member on the walk.
    pub(crate) fn walk(&self) -> Option<NonNull<Header>> {
        let fiber = self.walk.get()?;
        // SAFETY: members are alive.
        self.walk.set(unsafe { fiber.as_ref() }.live_next.get());
        Some(fiber)
    }

    /// Calls `visit` for each member, newest first. `visit` must not change the list.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Header)) {
        let mut at = self.first.get();
        while let Some(fiber) = at {
            // SAFETY: members are alive.
            let header = unsafe { fiber.as_ref() };
            at = header.live_next.get();
            visit(header);
        }
    }
}
