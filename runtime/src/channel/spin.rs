//! Spinning before parking, and backing off from a lock. Spinning pays when the peer is running on another core.

use crate::atomic::{spin_loop, thread_yield};
use crate::park::primitive as park;

/// The pauses before parking, in spin hints; after each the operation is tried again. In the first one the peer moves a few
/// dozen messages at its full speed. Parking and being woken across cores costs as much as hundreds of messages.
const SPINS: [u32; 3] = [8, 16, 32];

/// A plain thread, which keeps no fiber from running, then tries as many times more and offers its core in between.
const YIELDS: usize = 16;

/// Number of rounds to spin before parking.
pub(super) fn spin_rounds() -> usize {
    if park::on_fiber() { SPINS.len() } else { SPINS.len() + YIELDS }
}

/// Spins for one round.
pub(super) fn spin(round: usize) {
    match SPINS.get(round) {
        Some(hints) => pause(*hints),
        None => thread_yield(),
    }
}

/// Waits for `hints` spin hints, without touching memory.
pub(super) fn pause(hints: u32) {
    for _ in 0..hints {
        spin_loop();
    }
}
