//! Seeds for the random order in which a `select` tries its cases. They come from a counter in the channel, which costs
//! less than one counter for all channels.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module's documentation.
///
/// Not a modelled atomic: it synchronises nothing, and two concurrent calls may get the same number.
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

    /// The first count of a new channel. It is random, so that channels that are used once differ.
    #[cold]
    fn seed() -> usize {
        RandomState::new().hash_one(0) as usize
    }
}

/// Spreads the bits of a count.
fn scramble(number: usize) -> usize {
    let mut bits = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (bits ^ (bits >> 32)) as usize
}
