//! Where somebody sleeps in the table of sleepers by address, and whom a wake-up has found there.

#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export it, which the models do without"))]

use std::cell::Cell;

/// Where a sleeper sleeps, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Only compared.
    pub(crate) address: usize,
    /// Who wakes must have one of these.
    pub(crate) bits: u32,
    /// Whether a sleeper is overtaken (`overtaken.rs`).
    pub(crate) is_overtaken: bool,
}

/// Whom a wake-up has found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// How many were woken.
    pub count: usize,
    /// Whether one of them was overtaken, or one whose wait has ended otherwise at that moment.
    pub is_overtaken: bool,
}

impl Found {
    /// Of two wake-ups, what both have found.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let is_overtaken = self.is_overtaken || other.is_overtaken;
        Self { count: self.count + other.count, is_overtaken }
    }
}

impl Key {
    /// One of who wakes, or of a sleeper that is not overtaken.
    pub(crate) const fn new(address: usize, bits: u32) -> Self {
        Self { address, bits, is_overtaken: false }
    }

    /// Whether who wakes for this key wakes a sleeper of that one.
    #[inline(always)]
    fn wakes(self, there: &Self) -> bool {
        there.address == self.address && there.bits & self.bits != 0
    }

    /// The same. Notes whether that one is overtaken.
    #[inline(always)]
    pub(super) fn finds(self, there: &Self, is_overtaken: &Cell<bool>) -> bool {
        let wakes = self.wakes(there);
        if wakes {
            is_overtaken.set(is_overtaken.get() || there.is_overtaken);
        }
        wakes
    }
}
