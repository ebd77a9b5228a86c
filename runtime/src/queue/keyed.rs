//! Values that wait, each under a key, and are taken in the order in which they came.
//!
//! A handler of a signal may put one in, which has interrupted any code. So there is no lock: who finds a place that another writes or reads
//! goes on to the next. What finds no place is lost.
//!
//! A value is in a place, whose word goes round: empty, busy while the value is written, full, busy while it is read. The word of a full
//! place has the value's turn as well: by that the oldest is found, and who takes a place that it has seen full takes that value or
//! fails. A look at all places is not one moment: a place that was empty may be filled behind the look, and a later value be
//! found before it. What was put before a value by the same side is full as long as nobody has taken it, once that value was seen. So
//! who takes looks again, until the same value was the oldest twice.

#![expect(unsafe_code, reason = "who has made a place busy has its value alone")]
#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export it, which the models do without"))]

use std::fmt;
use std::mem::MaybeUninit;

use crate::atomic::{AtomicU64, AtomicUsize, Ordering, UnsafeCell, const_fn};

/// Nobody's.
const EMPTY: u64 = 0;
/// Somebody writes or reads it, and has it alone.
const BUSY: u64 = 1;
/// There is a value; its turn is above the bits of the state.
const FULL: u64 = 2;
const STATE_BITS: u32 = 2;
const STATE: u64 = (1 << STATE_BITS) - 1;

struct Entry<T> {
    word: AtomicU64,
    /// Of the value. Written while the place is busy; relaxed, since who looks at it has seen the place full, or takes nothing.
    key: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Entry<T> {
    const_fn! {
        const fn new() -> Self {
            let value = UnsafeCell::new(MaybeUninit::uninit());
            Self { word: AtomicU64::new(EMPTY), key: AtomicU64::new(0), value }
        }
    }

    fn change(&self, from: u64, to: u64) -> bool {
        // Acquire: pairs with the Release of who had it before.
        self.word.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn leave(&self, word: u64) {
        self.word.store(word, Ordering::Release);
    }

    /// The word, if there is a value whose key is one of these. If [`change`](Self::change) of this word succeeds, it was that value's key.
    fn full(&self, is_one: impl FnOnce(u64) -> bool) -> Option<u64> {
        // Acquire: pairs with the Release of who has written the value.
        let word = self.word.load(Ordering::Acquire);
        (word & STATE == FULL && is_one(self.key.load(Ordering::Relaxed))).then_some(word)
    }
}

/// At most so many values. See the module's documentation.
pub struct Keyed<T, const PLACES: usize> {
    places: [Entry<T>; PLACES],
    /// How many places were ever used: those beyond need not be looked at.
    used: AtomicUsize,
    turns: AtomicU64,
}

// SAFETY: a value is written by one thread and taken by another; who has made its place busy has it alone.
unsafe impl<T: Send, const PLACES: usize> Sync for Keyed<T, PLACES> {}

impl<T: Copy, const PLACES: usize> Default for Keyed<T, PLACES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy, const PLACES: usize> Keyed<T, PLACES> {
    /// No values.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        let places = [const { Entry::new() }; PLACES];
        Self { places, used: AtomicUsize::new(0), turns: AtomicU64::new(0) }
    }

    #[cfg(loom)]
    pub fn new() -> Self {
        let places = std::array::from_fn(|_| Entry::new());
        Self { places, used: AtomicUsize::new(0), turns: AtomicU64::new(0) }
    }

    fn used(&self) -> &[Entry<T>] {
        // Acquire: pairs with `put`.
        &self.places[..self.used.load(Ordering::Acquire)]
    }

    /// Puts a value in. Returns false if there was no place. May be called in a handler of a signal.
    pub fn put(&self, key: u64, value: T) -> bool {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        for (index, place) in self.places.iter().enumerate() {
            if place.word.load(Ordering::Relaxed) == EMPTY && place.change(EMPTY, BUSY) {
                place.key.store(key, Ordering::Relaxed);
                place.value.with_mut(|place| {
                    // SAFETY: the place is the caller's alone.
                    unsafe { (*place).write(value) };
                });
                // Before the value is there: who sees it sees the places of those before it.
                self.used.fetch_max(index + 1, Ordering::Release);
                place.leave(turn << STATE_BITS | FULL);
                return true;
            }
        }
        false
    }

    /// Whether a value waits under this key. One that another takes at this moment may count or not.
    pub fn has(&self, key: u64) -> bool {
        self.used().iter().any(|place| place.full(|other| other == key).is_some())
    }

    /// The oldest value under this key: the word of its place, and the place.
    fn oldest(&self, key: u64) -> Option<(u64, &Entry<T>)> {
        let all = self.used().iter().filter_map(|place| Some((place.full(|other| other == key)?, place)));
        all.min_by_key(|(word, _)| *word)
    }

    /// Takes the oldest value under this key.
    pub fn take(&self, key: u64) -> Option<T> {
        let mut found = self.oldest(key)?;
        loop {
            let (word, place) = self.oldest(key)?;
            if word == found.0 && place.change(word, BUSY) {
                // SAFETY: the place is the caller's alone, and was written.
                let value = place.value.with(|value| unsafe { (*value).assume_init_read() });
                place.leave(EMPTY);
                return Some(value);
            }
            found = (word, place);
        }
    }

    /// Forgets the values whose key is one of these.
    pub fn forget(&self, is_one: impl Fn(u64) -> bool) {
        for place in self.used() {
            if let Some(word) = place.full(&is_one) {
                // Another may take it first. What is copied has no destructor.
                place.change(word, EMPTY);
            }
        }
    }

    /// Forgets all values, in a copy of the process: nobody else has a place there.
    pub fn begin_anew(&self) {
        self.used().iter().for_each(|place| place.leave(EMPTY));
    }
}

impl<T, const PLACES: usize> fmt::Debug for Keyed<T, PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("used", &self.used).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A stress test; the models are below.
    #[test]
    fn what_each_side_puts_in_comes_out_once_and_in_its_order() {
        const EACH: u32 = 2_000;
        let values = Keyed::<u32, 64>::new();
        std::thread::scope(|scope| {
            for key in 0..2 {
                let values = &values;
                scope.spawn(move || {
                    for value in 0..EACH {
                        while !values.put(key, value) {
                            std::thread::yield_now();
                        }
                    }
                });
                scope.spawn(move || {
                    for value in 0..EACH {
                        let found = loop {
                            match values.take(key) {
                                Some(found) => break found,
                                None => std::thread::yield_now(),
                            }
                        };
                        assert_eq!(found, value);
                    }
                });
            }
        });
        assert!(values.take(0).is_none() && values.take(1).is_none());
    }

    #[test]
    fn what_finds_no_place_is_lost_and_what_is_forgotten_is_gone() {
        let values = Keyed::<u32, 3>::new();
        assert_eq!(
            [1, 2, 3, 4].map(|value| values.put(u64::from(value % 2), value)),
            [true, true, true, false]
        );
        assert_eq!((values.has(0), values.has(1), values.has(2)), (true, true, false));
        values.forget(|key| key == 1);
        assert_eq!((values.take(1), values.take(0), values.take(0)), (None, Some(2), None));
        assert!(values.put(7, 7));
        values.begin_anew();
        assert!(!values.has(7));
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of sides that put values in and sides that take them: each comes out once, and those of one side in their order,
    //! also where a place is used again, be it for another key.

    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(model);
    }

    /// A queue all of whose places were used, and are empty.
    fn used<const PLACES: usize>() -> Arc<Keyed<u8, PLACES>> {
        let values = Arc::new(Keyed::new());
        (0..PLACES).for_each(|_| assert!(values.put(0, 0)));
        values.begin_anew();
        values
    }

    fn rest<const PLACES: usize>(values: &Keyed<u8, PLACES>) -> impl Iterator<Item = u8> {
        std::iter::from_fn(|| values.take(1))
    }

    #[test]
    fn one_side_s_values_come_out_in_their_order() {
        check(|| {
            let values = used::<2>();
            let [side, taker] = [true, false].map(|puts| {
                let values = values.clone();
                thread::spawn(move || {
                    if puts {
                        assert!(values.put(1, 1) && values.put(1, 2));
                    }
                    if puts { None } else { values.take(1) }
                })
            });
            let mut found: Vec<_> = taker.join().unwrap().into_iter().collect();
            side.join().unwrap();
            found.extend(rest(&values));
            assert_eq!(found, [1, 2]);
        });
    }

    #[test]
    fn two_who_take_get_different_values_also_from_a_place_that_is_used_again() {
        check(|| {
            let values = used::<1>();
            assert!(values.put(1, 1));
            let [one, other] = [true, false].map(|puts| {
                let values = values.clone();
                thread::spawn(move || {
                    let taken = values.take(1);
                    (taken, puts && values.put(1, 2))
                })
            });
            let ((mine, has_place), (theirs, _)) = (one.join().unwrap(), other.join().unwrap());
            let mut all: Vec<_> = mine.into_iter().chain(theirs).chain(rest(&values)).collect();
            all.sort_unstable();
            let expected: &[u8] = if has_place { &[1, 2] } else { &[1] };
            assert_eq!(all, expected);
        });
    }

    #[test]
    fn a_value_under_another_key_in_the_same_place_is_neither_taken_nor_hidden() {
        check(|| {
            let values = used::<1>();
            assert!(values.put(1, 1));
            let takers = [0, 1].map(|_| {
                let values = values.clone();
                thread::spawn(move || values.take(1))
            });
            let is_taken = values.take(1) == Some(1);
            if is_taken && values.put(2, 2) {
                assert!(values.has(2), "nobody takes it, or looks at it alone");
                values.forget(|key| key == 1);
                assert_eq!(values.take(2), Some(2));
            }
            let found = takers.map(|taker| taker.join().unwrap());
            let theirs = found.iter().flatten().count();
            assert!(theirs + usize::from(is_taken) == 1 && found.iter().flatten().all(|value| *value == 1));
        });
    }
}
