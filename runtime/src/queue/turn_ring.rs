//! [`TurnRing`]: the last records of one thread, of two words each, which other threads may copy while it goes on writing. What
//! [`EventRing`](super::EventRing) is, for a writer that counts its instructions: a record takes it seven.
//!
//! The writer keeps the *place* of its next record, an address in the ring. It compares the place with its next *stop*, stores the
//! record there, and then the next place. At a stop it is told so, and may do what is due once in so many records, which costs the others
//! nothing. The end of the ring is always a stop. There a new *lap* begins: the count of laps, an even number, goes up by one, the
//! place goes back to the begin, and the count goes up by one more. So a ring that there is no memory for is one that is at a stop at
//! all times, and to write into it says so.
//!
//! A reader looks at the count and the place. An even count that is the same before and after the place was read is the place's. It
//! copies all records, oldest first, and looks again:
//!
//! * The writer stores the words of a record after the place of it, and after the count of its lap. Its stores have the order Release,
//!   and the reader's second look comes after a fence. So a reader that has copied a word of a record sees a place in its second look
//!   that is at this record or beyond, and a count that is its lap's or later.
//! * A record shares its slot with the one a lap later. If that one is beyond the place of the second look, no word of it was copied:
//!   the record is whole.
//!
//! Rejected: a count of all records in the place's stead, which takes the writer two instructions more, a mask and a base; a ring
//! that is aligned to its size, whose place returns by a mask, since it would tell nobody that a lap has begun.

#![expect(unsafe_code, reason = "writes where an address leads: the writer is a switch between fibers")]

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

use crate::atomic::{AtomicPtr, AtomicU64, Ordering, fence};

/// The place of a record.
type Slot = [AtomicU64; 2];

/// How often a reader looks that finds the writer between two laps.
const ATTEMPTS: usize = if cfg!(loom) { 1 } else { 100 };

/// See the module's documentation.
pub(crate) struct TurnRing {
    place: AtomicPtr<Slot>,
    /// Where the writer is stopped next. A plain value, which it compares in the same instruction.
    stop: Cell<*mut Slot>,
    laps: AtomicU64,
    slots: OnceLock<Box<[Slot]>>,
}

// SAFETY: all fields are for any thread, but for `stop`, which is the writer's alone: there is one at a time, and each has seen what the
// one before did (`push`).
unsafe impl Sync for TurnRing {}
// SAFETY: the addresses are of `slots`, which go with the ring.
unsafe impl Send for TurnRing {}

impl TurnRing {
    /// A ring without memory.
    pub(crate) fn new() -> Self {
        Self {
            place: AtomicPtr::new(ptr::null_mut()),
            stop: Cell::new(ptr::null_mut()),
            laps: AtomicU64::new(0),
            slots: OnceLock::new(),
        }
    }

    /// Gives the ring memory for so many records, two at least. Once, before any thread uses it. Pages are touched by the first
    /// records that lie there.
    pub(crate) fn provide(&self, slots: usize) {
        let slots = self.slots.get_or_init(|| zeroed(slots.max(2)));
        let range = slots.as_ptr_range();
        self.stop.set(range.end.cast_mut());
        // Relaxed: before any thread uses it.
        self.place.store(range.start.cast_mut(), Ordering::Relaxed);
    }

    /// The addresses of the records; none if there is no memory.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let range = self.slots.get().map_or(&[][..], |slots| slots).as_ptr_range();
        range.start.addr()..range.end.addr()
    }

    /// Whether there is memory.
    pub(crate) fn is_there(&self) -> bool {
        self.slots.get().is_some()
    }

    /// Writes a record. Returns false, and has not written it, at a stop: then it is to [go on](Self::go_on), if there is memory. One
    /// thread at a time may call it, and each must have seen what the one before did.
    #[inline(always)]
    #[must_use]
    pub(crate) fn push(&self, record: [u64; 2]) -> bool {
        self.push_with(|| record)
    }

    /// The same of a record that is made where there is room for it: so the compiler puts its parts together on their way there.
    #[inline(always)]
    #[must_use]
    pub(crate) fn push_with(&self, record: impl FnOnce() -> [u64; 2]) -> bool {
        // Relaxed: only the writer stores it.
        let place = self.place.load(Ordering::Relaxed);
        if place == self.stop.get() {
            return false;
        }
        // SAFETY: the place is in `slots`, and not their end: `provide` has set it to their begin, `go_on` does, below it goes on by one
        // slot, and it does not go past the stop, which is at their end or before (`stop_after`).
        let [first, second] = unsafe { &*place };
        let record = record();
        // Release: pairs with the fence in `try_snapshot`. Whoever sees a word of this record then sees this place, or a later one.
        first.store(record[0], Ordering::Release);
        second.store(record[1], Ordering::Release);
        // Release: pairs with the Acquire in `count`.
        self.place.store(place.wrapping_add(1), Ordering::Release);
        true
    }

    /// Goes on at a stop: the next one is after so many records, one at least, or where the lap ends. Returns false if there is no
    /// memory. As [`push`](Self::push).
    pub(crate) fn go_on(&self, records: usize) -> bool {
        let Some(slots) = self.slots.get() else { return false };
        let range = slots.as_ptr_range();
        // Relaxed: only the writer stores them.
        if self.place.load(Ordering::Relaxed).cast_const() == range.end {
            let laps = self.laps.load(Ordering::Relaxed);
            self.laps.store(laps.wrapping_add(1), Ordering::Relaxed);
            // Release: pairs with the Acquire in `count`. Who sees the place sees that the count is odd, or later.
            self.place.store(range.start.cast_mut(), Ordering::Release);
            // Release: pairs with the Acquire in `count`. Who sees the count sees the place.
            self.laps.store(laps.wrapping_add(2), Ordering::Release);
        }
        self.stop_after(records.max(1));
        true
    }

    /// Sets the next stop: after so many records, or where the lap ends. As [`push`](Self::push).
    pub(crate) fn stop_after(&self, records: usize) {
        let end = self.slots.get().map_or(&[][..], |slots| slots).as_ptr_range().end.cast_mut();
        // Relaxed: only the writer stores it.
        let place = self.place.load(Ordering::Relaxed);
        let left = (end.addr() - place.addr()) / size_of::<Slot>();
        self.stop.set(if records < left { place.wrapping_add(records) } else { end });
    }

    /// How many records were written so far, if no lap begins just then. From any thread.
    pub(crate) fn count(&self) -> Option<u64> {
        let slots = self.slots.get()?;
        // Acquire: pairs with the second Release in `go_on`.
        let laps = self.laps.load(Ordering::Acquire);
        // Acquire: pairs with the Releases of the place.
        let place = self.place.load(Ordering::Acquire);
        // Relaxed: the one above orders it.
        let is_of_lap = laps.is_multiple_of(2) && self.laps.load(Ordering::Relaxed) == laps;
        let in_lap = (place.addr() - slots.as_ptr().addr()) / size_of::<Slot>();
        is_of_lap.then(|| laps / 2 * slots.len() as u64 + in_lap as u64)
    }

    /// Copies the last records, oldest first, while the writer goes on. Returns the number of records before them as well. From any
    /// thread.
    pub(crate) fn snapshot(&self) -> (u64, Vec<[u64; 2]>) {
        let attempt = |_| {
            let copied = self.try_snapshot();
            if copied.is_none() {
                crate::atomic::thread_yield();
            }
            copied
        };
        if self.is_there() { (0..ATTEMPTS).find_map(attempt).unwrap_or_default() } else { (0, Vec::new()) }
    }

    fn try_snapshot(&self) -> Option<(u64, Vec<[u64; 2]>)> {
        let slots = self.slots.get()?;
        let len = slots.len() as u64;
        let end = self.count()?;
        let first = end.saturating_sub(len);
        // Relaxed: the fence follows.
        let copy =
            |number: u64| slots[(number % len) as usize].each_ref().map(|word| word.load(Ordering::Relaxed));
        let mut records: Vec<_> = (first..end).map(copy).collect();
        // Acquire: pairs with the Releases of the words in `push`.
        fence(Ordering::Acquire);
        let now = self.count()?;
        // The writer may be in the middle of record `now`, which takes the place of `now - len`.
        let whole = (now + 1).saturating_sub(len).clamp(first, end);
        records.drain(..(whole - first) as usize);
        Some((whole, records))
    }
}

#[cfg(not(loom))]
fn zeroed(slots: usize) -> Box<[Slot]> {
    // SAFETY: all bytes of a number may be zero.
    unsafe { Box::<[Slot]>::new_zeroed_slice(slots).assume_init() }
}

#[cfg(loom)]
fn zeroed(slots: usize) -> Box<[Slot]> {
    (0..slots).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect()
}

#[cfg(test)]
impl TurnRing {
    /// A ring of so many slots.
    fn of(slots: usize) -> Self {
        let ring = Self::new();
        ring.provide(slots);
        ring
    }

    /// Writes the record with this number, which both words tell.
    fn write(&self, number: u64) {
        let record = [number + 1, !(number + 1)];
        // A stop at each record, so that a reader meets all of the writer's steps.
        assert!(self.push(record) || (self.go_on(1) && self.push(record)));
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;

    use super::*;

    fn check(before: u64, during: u64) {
        loom::model(move || {
            let ring = Arc::new(TurnRing::of(2));
            (0..before).for_each(|number| ring.write(number));
            let writer = loom::thread::spawn({
                let ring = Arc::clone(&ring);
                move || (before..before + during).for_each(|number| ring.write(number))
            });
            let (first, records) = ring.snapshot();
            for (number, copied) in (first..).zip(&records) {
                assert_eq!(*copied, [number + 1, !(number + 1)], "record {number} is whole");
            }
            writer.join().unwrap();
            let (first, records) = ring.snapshot();
            let last = before + during;
            // The slot of the next record is left out, since nobody knows that it is not being written.
            assert_eq!((first, records), (last - 1, vec![[last, !last]]));
        });
    }

    #[test]
    fn model_a_copied_record_is_whole_where_a_lap_begins() {
        check(2, 2);
    }

    #[test]
    fn model_a_copy_within_the_second_lap_is_whole() {
        check(1, 3);
    }

    #[test]
    fn model_a_copy_while_two_laps_begin_is_whole() {
        check(2, 3);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn the_last_records_are_kept_in_order() {
        let ring = TurnRing::of(4);
        assert_eq!(ring.snapshot(), (0, vec![]));
        let numbers = |ring: &TurnRing| {
            let (first, records) = ring.snapshot();
            (first, records.iter().map(|[number, _]| number - 1).collect::<Vec<_>>())
        };
        (0..3).for_each(|n| ring.write(n));
        assert_eq!(numbers(&ring), (0, vec![0, 1, 2]));
        // At the end of a lap, and in the next ones.
        ring.write(3);
        assert_eq!(numbers(&ring), (1, vec![1, 2, 3]));
        (4..10).for_each(|n| ring.write(n));
        assert_eq!((numbers(&ring), ring.count()), ((7, vec![7, 8, 9]), Some(10)));
    }

    #[test]
    fn a_writer_is_stopped_after_so_many_records_and_where_a_lap_ends() {
        let ring = TurnRing::of(8);
        let until_stop = || (0_u64..).take_while(|n| ring.push([*n, 0])).count();
        assert_eq!(until_stop(), 8, "the end");
        let steps: Vec<_> = [3, 1, 0, usize::MAX, 9, 7, 5].map(|gap| (ring.go_on(gap), until_stop())).into();
        assert!(steps.iter().all(|(is_there, _)| *is_there));
        assert_eq!(steps.iter().map(|(_, records)| *records).collect::<Vec<_>>(), [3, 1, 1, 3, 8, 7, 1]);
        assert_eq!(ring.count(), Some(8 + 8 + 8 + 8));
    }

    #[test]
    fn a_ring_without_memory_takes_nothing() {
        let ring = TurnRing::new();
        assert!(!ring.push([1, 2]) && !ring.go_on(1) && !ring.is_there());
        assert_eq!((ring.snapshot(), ring.count()), ((0, vec![]), None));
    }

    #[test]
    fn copies_are_whole_while_another_thread_writes() {
        let (ring, stop) = (TurnRing::of(64), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0_u64.. {
                    ring.write(n);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let (mut latest, mut copied) = (0, 0);
            while copied < 20_000 {
                let (first, records) = ring.snapshot();
                if first > 0 {
                    assert!(first >= latest, "records are only forgotten");
                    latest = first;
                }
                for (n, record) in (first..).zip(&records) {
                    assert_eq!(*record, [n + 1, !(n + 1)]);
                }
                copied += 1;
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
