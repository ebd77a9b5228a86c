//! [`EventRing`]: the last events of one thread, which other threads may copy while it goes on writing.
//!
//! The writer never waits and takes no lock: it stores an event of some words, and then the number of words so
//! far, `head`. It overwrites the oldest. A reader reads `head`, copies all slots, and reads `head` again. What the writer may have overwritten
//! meanwhile is left out of the copy:
//!
//! * Event `n` lies in slot `n % slots`, and the writer stores it after it has published that there are `n` events.
//! * Its stores have the order Release, and the reader's second look at `head` comes after a fence. So a reader that has copied a
//!   word of event `n` sees `head` at `n` or more in its second look.
//! * An old event `i` shares its slot with `i + slots`. If the second look says less than `i + slots`, no word of that one was
//!   copied: event `i` is whole.
//!
//! Rejected: a sequence number in each slot, a quarter more memory and a store; a lock, or a flag by which a reader stops the writer, since a
//! reader may be a signal's.

#![expect(
    unsafe_code,
    reason = "finds a slot without a check of its bounds: the writer is a switch between fibers; memory of zeros"
)]

use std::ops::Range;

use crate::atomic::{AtomicU64, Ordering, fence};

/// How many words of a long event are copied without counting them.
const GROUP: usize = 8;

/// A ring of events of so many words, a power of two, whose meaning is the user's. See the module's documentation.
pub(crate) struct EventRing<const WORDS: usize> {
    /// How many words were written so far.
    head: AtomicU64,
    /// The number of words in the ring, a power of two, less one.
    mask: u64,
    words: Box<[AtomicU64]>,
}

impl<const WORDS: usize> EventRing<WORDS> {
    /// A ring of so many slots, rounded up to a power of two.
    pub(crate) fn new(slots: usize) -> Self {
        const { assert!(WORDS.is_power_of_two(), "an event does not go over the end of the ring") };
        // An optimised build would go on with a ring of no words, and write beyond it.
        let slots = slots.max(2).checked_next_power_of_two();
        let words = slots.and_then(|slots| slots.checked_mul(WORDS)).expect("a ring fits into memory");
        Self { head: AtomicU64::new(0), mask: words as u64 - 1, words: zeroed(words) }
    }

    /// Writes an event. One thread at a time may call it, and each must have seen what the one before did.
    #[inline(always)]
    pub(crate) fn push(&self, event: [u64; WORDS]) {
        self.write(event, 0, |_| 0);
    }

    /// [`push`](Self::push) of an event that begins with `first` and goes on with so many words of `rest`, by their numbers. What
    /// does not fit is left out; the last words do not matter if there are fewer: they are what they were.
    #[inline(always)]
    pub(crate) fn write<const FIRST: usize>(
        &self,
        first: [u64; FIRST],
        count: usize,
        rest: impl Fn(usize) -> u64,
    ) {
        // Relaxed: only the writer stores it.
        let head = self.head.load(Ordering::Relaxed);
        let place = (head & self.mask) as usize;
        // SAFETY: `new` makes `mask + 1` words, in slots of `WORDS`, and `head` is at the begin of a slot.
        let slot = unsafe { &*self.words.as_ptr().add(place).cast::<[AtomicU64; WORDS]>() };
        // Release: pairs with the fence in `snapshot`. Whoever sees a word of this event then sees that there are `head` words.
        let store = |word: &AtomicU64, value| word.store(value, Ordering::Release);
        let (before, after) = slot.split_at(FIRST);
        before.iter().zip(first).for_each(|(word, value)| store(word, value));
        // Some at a time: to count the words takes as long as to copy them.
        let (groups, single) = after[..count.min(after.len())].as_chunks::<GROUP>();
        for (number, group) in groups.iter().enumerate() {
            group.iter().enumerate().for_each(|(index, word)| store(word, rest(number * GROUP + index)));
        }
        let done = groups.len() * GROUP;
        single.iter().enumerate().for_each(|(index, word)| store(word, rest(done + index)));
        // Release: pairs with the Acquire in `snapshot`.
        self.head.store(head.wrapping_add(WORDS as u64), Ordering::Release);
    }

    /// The addresses of the events.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let range = self.words.as_ptr_range();
        range.start.addr()..range.end.addr()
    }

    /// Copies the last events, oldest first, while the writer goes on. Returns the number of events before them as well. From any
    /// thread.
    pub(crate) fn snapshot(&self) -> (u64, Vec<[u64; WORDS]>) {
        let (before, words) = self.snapshot_words();
        let events = words.chunks_exact(WORDS).map(|event| event.try_into().expect("so many words"));
        (before, events.collect())
    }

    /// [`snapshot`](Self::snapshot), as one event's words after the other: large ones are nowhere on the caller's stack.
    pub(crate) fn snapshot_words(&self) -> (u64, Vec<u64>) {
        let slots = (self.mask + 1) / WORDS as u64;
        // Acquire: pairs with the Release in `push`.
        let end = self.head.load(Ordering::Acquire) / WORDS as u64;
        let first = end.saturating_sub(slots);
        let slot = |number: u64| {
            let first = ((number * WORDS as u64) & self.mask) as usize;
            &self.words[first..first + WORDS]
        };
        // Relaxed: the fence follows.
        let copy = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let mut words: Vec<u64> = (first..end).flat_map(slot).map(copy).collect();
        // Acquire: pairs with the Releases of the words in `push`.
        fence(Ordering::Acquire);
        let now = self.head.load(Ordering::Relaxed) / WORDS as u64;
        // The writer may be in the middle of event `now`, which takes the place of `now - slots`.
        let whole = (now + 1).saturating_sub(slots).clamp(first, end);
        words.drain(..(whole - first) as usize * WORDS);
        (whole, words)
    }
}

/// Pages are touched by the first events that lie there.
#[cfg(not(loom))]
fn zeroed(words: usize) -> Box<[AtomicU64]> {
    // SAFETY: all bytes of a number may be zero.
    unsafe { Box::<[AtomicU64]>::new_zeroed_slice(words).assume_init() }
}

#[cfg(loom)]
fn zeroed(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;

    use super::*;

    /// The writer's events are known by their number, in both words.
    fn event(number: u64) -> [u64; 2] {
        [number + 1, !(number + 1)]
    }

    fn check(before: u64, during: u64) {
        loom::model(move || {
            let ring = Arc::new(EventRing::new(2));
            (0..before).for_each(|number| ring.push(event(number)));
            let writer = loom::thread::spawn({
                let ring = Arc::clone(&ring);
                move || (before..before + during).for_each(|number| ring.push(event(number)))
            });
            let (first, events) = ring.snapshot();
            for (number, copied) in (first..).zip(&events) {
                assert_eq!(*copied, event(number), "event {number} is whole");
            }
            writer.join().unwrap();
            let (first, events) = ring.snapshot();
            // The slot of the next event is left out, since nobody knows that it is not being written.
            assert_eq!((first, events), (before + during - 1, vec![event(before + during - 1)]));
        });
    }

    #[test]
    fn model_a_copied_event_is_whole() {
        check(2, 2);
    }

    #[test]
    fn model_a_copy_during_the_second_round_is_whole() {
        check(1, 3);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn the_last_events_are_kept_in_order() {
        let ring = EventRing::new(4);
        assert_eq!(ring.snapshot(), (0, vec![]));
        (0..3).for_each(|n| ring.push([n, n]));
        assert_eq!(ring.snapshot(), (0, vec![[0, 0], [1, 1], [2, 2]]));
        (3..10).for_each(|n| ring.push([n, n]));
        assert_eq!(ring.snapshot(), (7, vec![[7, 7], [8, 8], [9, 9]]));
    }

    #[test]
    fn a_long_event_has_all_its_words_and_is_cut_off_at_the_end_of_its_slot() {
        let ring = EventRing::<32>::new(4);
        ring.write([1, 2], 11, |number| 100 + number as u64);
        ring.write([3], usize::MAX, |number| number as u64);
        let (_, events) = ring.snapshot();
        let expected: Vec<u64> = [1, 2].into_iter().chain(100..111).chain([0; 19]).collect();
        assert_eq!(events[0][..], expected);
        let expected: Vec<u64> = [3].into_iter().chain(0..31).collect();
        assert_eq!(events[1][..], expected);
    }

    #[test]
    fn copies_are_whole_while_another_thread_writes() {
        let (ring, stop) = (EventRing::new(64), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0_u64.. {
                    ring.push([n, !n]);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let mut copied = 0;
            let mut latest = 0;
            while copied < 20_000 {
                let (first, events) = ring.snapshot();
                assert!(first >= latest, "events are only forgotten");
                latest = first;
                for (n, event) in (first..).zip(&events) {
                    assert_eq!(*event, [n, !n]);
                }
                copied += 1;
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
