//! A runtime's memory for cells, of which its workers have no need at present: full magazines, by class of size.
//!
//! How much there is follows the most that was in use at once, up to [`MOST`] of a class. What lies unused for a period goes back to the
//! allocator, as the stacks of a pool do: workers that rest [`sweep`](Depot::sweep) the depot, in steps of a tenth of a millisecond.

use std::fmt;
use std::ptr::NonNull;
use std::time::Duration;

use abaca_asm::stack::Surplus;
use crossbeam_utils::CachePadded;

use super::magazine::{CLASSES, MAGAZINE, Magazine, layout_of};
use crate::atomic::{AtomicU64, Ordering};
use crate::queue::SpinLock;

/// The most full magazines of a class: a million cells.
const MOST: usize = if cfg!(loom) { 2 } else { (1 << 20) / MAGAZINE };

/// How many magazines are emptied at a time: some thousand cells.
const STEP: usize = 16;

/// See the module's documentation.
pub(crate) struct Depot {
    shelves: [CachePadded<SpinLock<Shelf>>; CLASSES],
    /// When the period ends, on the clock of the runtime.
    period_ends_ns: AtomicU64,
}

/// The magazines of one class.
#[derive(Default)]
struct Shelf {
    /// The newest full magazine, with the others behind it.
    full: Option<Box<Magazine>>,
    len: usize,
    /// The least length in this period.
    least: usize,
    /// How many magazines lay here for a whole period.
    surplus: usize,
    /// The magazine from which single cells are taken.
    open: Option<Box<Magazine>>,
}

impl Shelf {
    fn pop(&mut self) -> Option<Box<Magazine>> {
        let mut magazine = self.full.take()?;
        self.full = magazine.next.take();
        self.len -= 1;
        self.least = self.least.min(self.len);
        self.surplus = self.surplus.min(self.len);
        Some(magazine)
    }

    fn push(&mut self, mut magazine: Box<Magazine>) {
        magazine.next = self.full.take();
        self.full = Some(magazine);
        self.len += 1;
    }
}

impl Depot {
    pub(crate) fn new() -> Self {
        let shelves = std::array::from_fn(|_| CachePadded::new(SpinLock::default()));
        Self { shelves, period_ends_ns: AtomicU64::new(0) }
    }

    /// A full magazine, if there is one.
    pub(super) fn take(&self, class: usize) -> Option<Box<Magazine>> {
        self.shelves[class].lock().pop()
    }

    /// The memory of one free cell, if there is one.
    pub(super) fn take_one(&self, class: usize) -> Option<NonNull<u8>> {
        let mut shelf = self.shelves[class].lock();
        if let Some(cell) = shelf.open.as_mut().and_then(|open| open.pop()) {
            return Some(cell);
        }
        let full = shelf.pop()?;
        let empty = shelf.open.replace(full);
        let cell = shelf.open.as_mut().and_then(|open| open.pop());
        drop(shelf);
        drop(empty);
        cell
    }

    /// Takes a full magazine, or if there are too many, gives its memory to the allocator.
    pub(super) fn give(&self, class: usize, mut magazine: Box<Magazine>) {
        let mut shelf = self.shelves[class].lock();
        if shelf.len < MOST {
            return shelf.push(magazine);
        }
        drop(shelf);
        magazine.release(class);
    }

    /// The bytes of free cells that are here.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |class: usize| self.shelves[class].lock().len * MAGAZINE * layout_of(class).size();
        (0..CLASSES).map(bytes).sum()
    }

    /// Gives memory that was unused for a `period` to the allocator, a step of it. Returns whether there is more.
    pub(crate) fn sweep(&self, now_ns: u64, period: Duration) -> Surplus {
        self.end_period(now_ns, period);
        let mut rest = Surplus::None;
        let mut left = STEP;
        for class in 0..CLASSES {
            while left > 0 && self.release_one(class) {
                left -= 1;
            }
            let shelf = self.shelves[class].lock();
            if shelf.surplus > 0 {
                return Surplus::Now;
            }
            if shelf.len > 0 || shelf.open.is_some() {
                rest = Surplus::Later;
            }
        }
        rest
    }

    fn end_period(&self, now_ns: u64, period: Duration) {
        let ends = self.period_ends_ns.load(Ordering::Relaxed);
        let next = now_ns.saturating_add(period.as_nanos() as u64);
        // Relaxed: a number, by which one caller is chosen.
        let change =
            || self.period_ends_ns.compare_exchange(ends, next, Ordering::Relaxed, Ordering::Relaxed);
        if now_ns < ends || change().is_err() {
            return;
        }
        for (class, shelf) in self.shelves.iter().enumerate() {
            let mut shelf = shelf.lock();
            shelf.surplus = shelf.least;
            shelf.least = shelf.len;
            let open = if shelf.len == 0 { shelf.open.take() } else { None };
            drop(shelf);
            open.into_iter().for_each(|mut open| open.release(class));
        }
    }

    /// Empties a magazine that lay here for a whole period, if there is one.
    fn release_one(&self, class: usize) -> bool {
        let mut shelf = self.shelves[class].lock();
        if shelf.surplus == 0 {
            return false;
        }
        let surplus = shelf.surplus - 1;
        let magazine = shelf.pop();
        shelf.surplus = surplus;
        drop(shelf);
        magazine.into_iter().for_each(|mut magazine| magazine.release(class));
        true
    }
}

impl fmt::Debug for Depot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depot").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        for (class, shelf) in self.shelves.iter().enumerate() {
            let mut shelf = shelf.lock();
            while let Some(mut magazine) = shelf.pop() {
                magazine.release(class);
            }
            if let Some(mut open) = shelf.open.take() {
                open.release(class);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::super::magazine::{Magazines, from_allocator};
    use super::*;

    const CLASS: usize = 7;
    const PERIOD: Duration = Duration::from_nanos(100);

    #[test]
    fn what_lies_unused_for_a_period_is_freed_and_the_rest_stays() {
        let depot = Arc::new(Depot::new());
        let magazines = Magazines::new(Arc::clone(&depot));
        let kept = |count: usize| count * MAGAZINE * layout_of(CLASS).size();
        for _ in 0..40 * MAGAZINE {
            magazines.give(CLASS, from_allocator(layout_of(CLASS)).unwrap());
        }
        assert_eq!(depot.bytes(), kept(38), "the worker has two");
        let taken: Vec<_> = (0..10 * MAGAZINE).map(|_| magazines.take(CLASS).unwrap()).collect();
        assert_eq!(depot.sweep(100, PERIOD), Surplus::Later, "they are new here");
        taken.into_iter().for_each(|cell| magazines.give(CLASS, cell));
        assert!(magazines.give_all());
        assert_eq!(depot.bytes(), kept(40));
        // Thirty were there all the time.
        assert_eq!(depot.sweep(200, PERIOD), Surplus::Now);
        while depot.sweep(201, PERIOD) == Surplus::Now {}
        assert_eq!(depot.bytes(), kept(10));
        while depot.sweep(300, PERIOD) == Surplus::Now {}
        assert_eq!((depot.bytes(), depot.sweep(301, PERIOD)), (0, Surplus::None));
    }

    #[test]
    fn single_cells_come_from_full_magazines_and_too_many_go_to_the_allocator() {
        let depot = Depot::new();
        assert!(depot.take_one(CLASS).is_none());
        for _ in 0..MOST + 1 {
            let mut magazine = Magazine::boxed().unwrap();
            (0..MAGAZINE).for_each(|_| magazine.push(from_allocator(layout_of(0)).unwrap()));
            depot.give(0, magazine);
        }
        assert_eq!(depot.bytes(), MOST * MAGAZINE * layout_of(0).size());
        for _ in 0..MAGAZINE + 1 {
            let mut single = Magazine::boxed().unwrap();
            single.push(depot.take_one(0).unwrap());
            single.release(0);
        }
        assert_eq!(depot.bytes(), (MOST - 2) * MAGAZINE * layout_of(0).size());
    }
}
