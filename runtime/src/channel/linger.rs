//! How one that would park stays for a moment, because the other side is running on another core.

use crate::park::primitive as park;

/// One that would park while the other side runs on another core first stays for these pauses (in spin hints), and
/// looks again after each. In the first one the other side moves a few dozen messages at its full speed; parking
/// and being woken across cores costs as much as hundreds of messages.
pub(super) const LINGER: &[u32] = &[8, 16, 32];

/// A plain thread, which keeps nobody from running, then looks as many times more, offering its core in between.
const YIELDS: usize = 16;

/// How often one that lingers looks again.
pub(super) fn looks() -> usize {
    if park::on_fiber() { LINGER.len() } else { LINGER.len() + YIELDS }
}
