//! Who holds a lock, so that a dump can tell: an address on the stack of the fiber or thread that took it.
//!
//! A fiber knows its stack pointer without being asked who it is, so this costs a lock two instructions. Whose stack it is, is
//! found out when somebody looks. Nothing is noted when the lock is released: the lock's own word says whether it is held.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Holder(AtomicUsize);

impl Holder {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Notes the caller.
    #[inline(always)]
    pub(crate) fn note(&self) {
        let here = 0_u8;
        // Relaxed: who looks may see an older holder. It compares the address, and never follows it.
        self.0.store(ptr::from_ref(&here).addr(), Ordering::Relaxed);
    }

    /// Forgets who held it: an unlocker hands the lock to a waiter, which has not run yet.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The address that was last noted; `None` if none was.
    pub(crate) fn address(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|address| *address != 0)
    }
}
