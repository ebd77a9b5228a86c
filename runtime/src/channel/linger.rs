//! How one that would park stays for a moment, because the other side is running on another core.

use crate::atomic::{spin_loop, thread_yield};
use crate::park::primitive as park;

/// One that would park while the other side runs on another core first stays for these pauses (in spin hints), and
/// looks again after each. In the first one the other side moves a few dozen messages at its full speed; parking
/// and being woken across cores costs as much as hundreds of messages.
const LINGER: [u32; 3] = [8, 16, 32];

/// A plain thread, which keeps nobody from running, then looks as many times more, offering its core in between.
const YIELDS: usize = 16;

/// How often one that lingers looks again.
pub(super) fn looks() -> usize {
    if park::on_fiber() { LINGER.len() } else { LINGER.len() + YIELDS }
}

/// Lets some time pass before the next look.
pub(super) fn linger(look: usize) {
    match LINGER.get(look) {
        Some(hints) => pause(*hints),
        None => thread_yield(),
    }
}

/// Waits without touching memory, for that many spin hints.
pub(super) fn pause(hints: u32) {
    for _ in 0..hints {
        spin_loop();
    }
}
