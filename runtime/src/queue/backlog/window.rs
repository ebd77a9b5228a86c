//! The newest items of a backlog: a ring of slots. Its owner adds and takes at one end; others take at the other end, several at
//! once. `README.md` has the argument.

#![expect(unsafe_code, reason = "shares slots between threads")]

use std::array;
use std::fmt;
use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use super::span::{ONE, Span, is_owners};
use crate::atomic::{AtomicU64, Ordering, UnsafeCell};

/// How many items a window holds.
pub(super) const CAPACITY: u16 = if cfg!(loom) { 4 } else { 256 };

/// See the module's documentation.
pub(super) struct Window<T> {
    /// A [`Span`]. On a line of its own: the owner changes it with each item, thieves once for several.
    span: CachePadded<AtomicU64>,
    slots: [UnsafeCell<MaybeUninit<T>>; CAPACITY as usize],
}

// SAFETY: the items go from thread to thread, and the protocol gives each slot to one writer, and to readers afterwards.
unsafe impl<T: Send> Sync for Window<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Window<T> {}

impl<T: Copy> Window<T> {
    pub(super) fn new() -> Self {
        Self {
            span: CachePadded::new(AtomicU64::new(0)),
            slots: array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
        }
    }

    /// How many items anyone could take.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        // Relaxed: a figure.
        Span::of(self.span.load(Ordering::Relaxed)).len().into()
    }

    fn slot(&self, position: u16) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[usize::from(position % CAPACITY)]
    }

    /// The item at a position.
    ///
    /// # Safety
    ///
    /// There is one, and the caller is the owner, or has taken it and not yet said that it has copied it.
    #[inline(always)]
    pub(super) unsafe fn read(&self, position: u16) -> T {
        // SAFETY: the slot was written before the word said so. Its next writer is the owner, who writes to free slots alone.
        self.slot(position).with(|item| unsafe { (*item).assume_init() })
    }

    /// Puts an item at a position.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and the slot is free: the word with which it learnt so has brought it what the readers have done.
    #[inline(always)]
    pub(super) unsafe fn write(&self, position: u16, item: T) {
        // SAFETY: nobody reads a free slot, and only the owner writes.
        self.slot(position).with_mut(|slot| unsafe { *slot = MaybeUninit::new(item) });
    }

    /// Makes `count` items that the owner has written behind the tail anyone's. `seen` is the word that it saw last. Returns the word
    /// before.
    #[inline(always)]
    pub(super) fn publish(&self, seen: u64, count: u16) -> u64 {
        let more = u64::from(count) * ONE;
        // Release: pairs with the Acquire in `claim`, which publishes the items. Operations between the two continue the release
        // sequence, since all of them read and write the word at once.
        if is_owners(seen) {
            // Nobody else can have changed it.
            self.span.store(seen.wrapping_add(more), Ordering::Release);
            return seen;
        }
        self.span.fetch_add(more, Ordering::Release)
    }

    /// The word as it is, for the owner, who may write to slots that it says are free.
    pub(super) fn look(&self) -> u64 {
        // Acquire: pairs with the Release in `Claimed::drop`.
        self.span.load(Ordering::Acquire)
    }

    /// Changes the word for its owner, if it is as expected; fails with the word as it is.
    #[inline(always)]
    pub(super) fn change(&self, from: u64, to: u64) -> Result<u64, u64> {
        // Acquire: as in `look`.
        self.span.compare_exchange(from, to, Ordering::Acquire, Ordering::Acquire)
    }

    /// Takes the older half of the items, or the last one. `None` if there are none, or another thread still copies what it took.
    pub(super) fn claim(&self) -> Option<Claimed<'_, T>> {
        let mut word = self.span.load(Ordering::Relaxed);
        loop {
            let span = Span::of(word);
            if span.len() == 0 || !span.is_settled() {
                return None;
            }
            let count = (span.len() / 2).max(1);
            // Acquire: pairs with the Release in `publish`.
            match self.span.compare_exchange_weak(
                word,
                span.without_oldest(count).word(),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Claimed { window: self, oldest: span.head, count }),
                Err(now) => word = now,
            }
        }
    }
}

impl<T> fmt::Debug for Window<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span::of(self.span.load(Ordering::Relaxed)).fmt(f)
    }
}

/// Items that a thread has taken, and has yet to copy out of the window.
#[derive(Debug)]
pub(super) struct Claimed<'a, T> {
    window: &'a Window<T>,
    oldest: u16,
    count: u16,
}

impl<T: Copy> Claimed<'_, T> {
    pub(super) fn len(&self) -> usize {
        self.count.into()
    }

    /// The items, oldest first.
    pub(super) fn items(&self) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator {
        (0..self.count).map(|index| {
            // SAFETY: `claim` has taken the items, and `drop` will say that they are copied.
            unsafe { self.window.read(self.oldest.wrapping_add(index)) }
        })
    }
}

impl<T> Drop for Claimed<'_, T> {
    fn drop(&mut self) {
        let mut word = self.window.span.load(Ordering::Relaxed);
        // Nobody else says so meanwhile. The owner may have taken items behind these.
        // Release: pairs with the Acquire in `look`, so that the owner writes to the slots after they were read.
        while let Err(now) = self.window.span.compare_exchange_weak(
            word,
            Span::of(word).all_copied().word(),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            word = now;
        }
    }
}
