//! A count that one thread writes and any thread reads.
//!
//! Adding is a load, an addition and a store, none of them locked: the line belongs to the writer. A reader may see the value of a
//! moment ago.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `more`. One thread at a time may call it, and each must have seen what the one before did.
    #[inline(always)]
    pub(crate) fn add(&self, more: u64) {
        // Relaxed: a number, with one writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Adds one, and returns the count before. As [`add`](Self::add).
    #[inline(always)]
    pub(crate) fn next(&self) -> u64 {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
        before
    }

    /// The count. From any thread.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
