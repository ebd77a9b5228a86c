//! A direction of a slot: its word and its mark, and what an operation has seen of them.

use std::ptr;

use super::slot::Event;
use crate::atomic::{AtomicU32, Ordering};

/// A mark is the word of a direction with this bit, which no word has: an operation whose snapshot this word was has moved less
/// than it wanted, which means that the next one would return EAGAIN. So the next event ends what a mark says, by changing the
/// word. 0 is no mark.
const MARK: u32 = 1;

/// Set by an event after which an operation may be short although there is more, for which no edge will come: the end of
/// the stream, an error, urgent data. Stays until the descriptor is closed. A word with it is never marked.
const HINTS_OFF: u32 = 2;

/// The unit of the sequence number, the rest of the word: the number of events so far. An event could be missed only if the
/// number wrapped, by 2^30 events, between an operation's snapshot and its wait.
const SEQUENCE: u32 = 4;

/// One direction of a slot.
pub(super) struct Side {
    /// The sequence number, and [`HINTS_OFF`]. Written under the slot's lock.
    pub(super) word: AtomicU32,
    /// The mark, which operations write at any time: what it says is true for as long as the direction has the word that it was made
    /// of, whoever wrote it last.
    pub(super) mark: AtomicU32,
}

/// The state of a direction before a system call that acts on it.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot<'a> {
    /// `None` if the descriptor was not registered.
    side: Option<&'a Side>,
    word: u32,
}

impl<'a> Snapshot<'a> {
    /// The snapshot of a descriptor that is not registered.
    pub(super) const UNREGISTERED: Self = Self { side: None, word: 0 };

    /// Whether the descriptor was registered.
    #[cfg(feature = "own-tls")]
    #[inline]
    pub(crate) fn is_registered(self) -> bool {
        self.side.is_some()
    }

    /// Whether the system call need not be made, since it would return EAGAIN.
    #[inline]
    pub(crate) fn is_exhausted(self) -> bool {
        // Relaxed: a caller that waits because of the mark looks at the word again, under the lock.
        self.side.is_some_and(|side| side.mark.load(Ordering::Relaxed) == self.word | MARK)
    }

    /// The number of events so far. Comparable only between snapshots of one registration.
    pub(crate) fn events(self) -> u32 {
        self.word / SEQUENCE
    }

    /// Notes whether the system call moved less than it wanted. If an event has come since the snapshot, this says nothing.
    #[inline]
    pub(crate) fn note(self, is_short: bool) {
        let Some(side) = self.side else { return };
        // Relaxed: this publishes nothing.
        if is_short {
            if self.word & HINTS_OFF == 0 {
                side.mark.store(self.word | MARK, Ordering::Relaxed);
            }
        } else if side.mark.load(Ordering::Relaxed) != 0 {
            // A mark that nobody replaced would be believed again when the sequence number has come round.
            side.mark.store(0, Ordering::Relaxed);
        }
    }

    /// The sequence number of `side` in this snapshot. If the snapshot is of another slot or of none, this is 0, with which every
    /// registration starts.
    fn sequence_of(self, side: &Side) -> u32 {
        if self.side.is_some_and(|seen| ptr::eq(seen, side)) { self.word / SEQUENCE } else { 0 }
    }
}

impl Side {
    /// The current state. Must be called before the system call that acts on the direction.
    #[inline(always)]
    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        // Acquire: pairs with the Release in `advance`. The system call must not move above this load.
        Snapshot { side: Some(self), word: self.word.load(Ordering::Acquire) }
    }

    /// Whether an event has come since the snapshot. Under the slot's lock.
    #[inline(always)]
    pub(super) fn has_moved_on(&self, snapshot: Snapshot<'_>) -> bool {
        self.word.load(Ordering::Relaxed) / SEQUENCE != snapshot.sequence_of(self)
    }

    #[cfg(any(test, loom))]
    pub(super) fn new() -> Self {
        Self { word: AtomicU32::new(0), mark: AtomicU32::new(0) }
    }

    /// Counts an event, under the slot's lock. `None` if it is not about this direction; else whether it wakes all in line.
    #[inline(always)]
    pub(super) fn advance(&self, event: Event) -> Option<bool> {
        let bits = match event {
            Event::None => return None,
            Event::Ready => 0,
            Event::HintsOff => HINTS_OFF,
        };
        let old = self.word.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `snapshot`.
        self.word.store(old.wrapping_add(SEQUENCE) | bits, Ordering::Release);
        Some(bits == HINTS_OFF)
    }
}
