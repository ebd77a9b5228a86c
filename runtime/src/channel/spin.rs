//! Spinning before parking, and backing off from a lock. Spinning pays when the peer is running on another core.

use crate::park::primitive as park;

/// The pauses before parking, in spin hints; after each the operation is tried again. In the first one the peer moves a few
/// dozen messages at its full speed. Parking and being woken across cores costs as much as hundreds of messages.
pub(super) const SPINS: &[u32] = &[8, 16, 32];

/// A plain thread, which keeps no fiber from running, then tries as many times more and offers its core in between.
const YIELDS: usize = 16;

/// Number of rounds to spin before parking.
pub(super) fn spin_rounds() -> usize {
    if park::on_fiber() { SPINS.len() } else { SPINS.len() + YIELDS }
}
