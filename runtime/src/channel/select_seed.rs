//! Where the next `select` begins to look: numbers without a pattern, from a counter in the channel, which costs less
//! than one that all channels share.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module's documentation.
///
/// Not a modelled atomic: it synchronises nothing, and two that ask at once may get the same number.
pub(super) struct SelectSeed(AtomicUsize);

impl SelectSeed {
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// The next number.
    #[inline]
    pub(super) fn next(&self) -> usize {
        let count = match self.0.load(Ordering::Relaxed) {
            0 => Self::seed(),
            count => count,
        };
        self.0.store(count.wrapping_add(1), Ordering::Relaxed);
        scramble(count)
    }

    /// Where the counter of a new channel starts, so that channels that are used once differ.
    #[cold]
    fn seed() -> usize {
        RandomState::new().hash_one(0) as usize
    }
}

/// Spreads the bits of a number that counts.
fn scramble(number: usize) -> usize {
    let mut bits = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (bits ^ (bits >> 32)) as usize
}
