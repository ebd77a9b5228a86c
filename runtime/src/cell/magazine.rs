//! A worker's memory for cells: what its fibers' cells were is used again for new ones, without an atomic operation.
//!
//! A cell is rounded up to a *class* of sizes, and its memory comes from the allocator or from a magazine, a stack of addresses of one
//! class. A worker has two magazines of each class. If it frees more than both take, it puts a full one into the runtime's
//! [`Depot`]; if it needs more than both have, it takes one from there. So the depot's lock is used once in [`MAGAZINE`] cells, also where
//! one worker spawns what another frees.
//!
//! The memory is the allocator's throughout: whoever has no magazine, such as a plain thread that joins a fiber whose runtime is gone,
//! gives it back there, and needs nobody for that. A build that looks for errors in memory does so always.

#![expect(unsafe_code, reason = "hands out memory for cells")]

use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::depot::Depot;
use crate::atomic::UnsafeCell;
use crate::os::heap;

/// How many cells a magazine takes.
pub(super) const MAGAZINE: usize = if cfg!(loom) { 2 } else { 64 };

/// The number of classes. Larger cells are the allocator's alone. A model has one, since each costs it steps.
pub(super) const CLASSES: usize = if cfg!(loom) { 1 } else { 32 };

/// The difference of two classes in bytes.
const STEP: usize = 32;

/// How many cells before its use a cell is prefetched.
const AHEAD: usize = 3;

/// The bytes of a cache line, and the lines of a header, which a spawn writes.
const LINE: usize = 64;
const HEADER_LINES: usize = size_of::<super::Header>().div_ceil(LINE);

/// What the usual allocator needs beside an allocation, in bytes, of which a class and this make a multiple of [`STEP`].
const TAG: usize = 8;

/// The alignment of the memory of all classes.
const ALIGN: usize = 16;

/// Whether memory is used again. Tools that watch the allocator would not see a use after the end of a cell; a model's header has another
/// size, and its memory is loom's to watch.
const RECYCLES: bool = !cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, loom));

/// What memory a type of cells needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// What the allocator is asked for.
    layout: Layout,
    /// The class, or [`CLASSES`] if there is none.
    class: u8,
}

impl Size {
    pub(super) const fn of(cell: Layout) -> Self {
        let class = (cell.size() + TAG).div_ceil(STEP) - 1;
        if !RECYCLES || class >= CLASSES || cell.align() > ALIGN {
            return Self { layout: cell, class: CLASSES as u8 };
        }
        Self { layout: layout_of(class), class: class as u8 }
    }

    pub(super) const fn bytes(self) -> usize {
        self.layout.size()
    }
}

/// What the allocator is asked for, for cells of a class.
pub(super) const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * STEP - TAG, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a class is a few hundred bytes"),
    }
}

/// Where a new cell's memory comes from.
#[derive(Clone, Copy)]
pub(crate) enum Supply<'a> {
    /// The magazines of the calling thread's worker.
    Worker(&'a Magazines),
    /// The depot of a runtime, for a thread that is none of its workers.
    Depot(&'a Depot),
    /// The allocator.
    Allocator,
}

impl Supply<'_> {
    /// Memory for a cell, which [`free`] takes back.
    #[inline]
    pub(super) fn obtain(self, size: Size) -> NonNull<u8> {
        self.try_obtain(size).unwrap_or_else(|| handle_alloc_error(size.layout))
    }

    /// [`obtain`](Self::obtain); `None` if there is none.
    #[inline]
    pub(super) fn try_obtain(self, size: Size) -> Option<NonNull<u8>> {
        let class = usize::from(size.class);
        let kept = match self {
            Self::Worker(magazines) if class < CLASSES => magazines.take(class),
            Self::Depot(depot) if class < CLASSES => depot.take_one(class),
            _ => None,
        };
        kept.or_else(|| match self {
            Self::Worker(magazines) => magazines.fresh(size.layout),
            _ => from_allocator(size.layout),
        })
    }
}

#[cold]
pub(super) fn from_allocator(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: a cell begins with a header, so its size is not zero.
    NonNull::new(unsafe { alloc::alloc(layout) })
}

/// Frees a cell's memory, to `magazines` or to the allocator.
///
/// # Safety
///
/// A [`Supply`] gave out the memory for this size, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free(memory: NonNull<u8>, size: Size, magazines: Option<&Magazines>) {
    match magazines {
        Some(magazines) if usize::from(size.class) < CLASSES => {
            magazines.give(usize::from(size.class), memory)
        }
        // SAFETY: the memory is the allocator's, for this layout, by the caller's promise.
        _ => unsafe { alloc::dealloc(memory.as_ptr(), size.layout) },
    }
}

/// The addresses of some free cells of one class; the newest is the last.
#[derive(Debug)]
pub(super) struct Magazine {
    cells: [*mut u8; MAGAZINE],
    len: usize,
    /// The next magazine in the depot.
    pub(super) next: Option<Box<Self>>,
}

// SAFETY: a magazine owns the memory of its cells.
unsafe impl Send for Magazine {}

impl Magazine {
    /// An empty one; `None` if there is no memory for it.
    pub(super) fn boxed() -> Option<Box<Self>> {
        // SAFETY: its size is not zero.
        let memory = NonNull::new(unsafe { alloc::alloc(Layout::new::<Self>()) })?.cast::<Self>();
        // SAFETY: the memory is the allocator's, for this type, and nobody else knows it.
        unsafe {
            memory.write(Self { cells: [ptr::null_mut(); MAGAZINE], len: 0, next: None });
            Some(Box::from_raw(memory.as_ptr()))
        }
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.len == MAGAZINE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.len = self.len.checked_sub(1)?;
        // A batch of fibers takes cells that nobody has touched for a while, or that another worker has.
        let ahead = self.cells[self.len.saturating_sub(AHEAD)].cast_const();
        for line in 0..HEADER_LINES {
            abaca_asm::prefetch(ahead.wrapping_add(line * LINE));
        }
        NonNull::new(self.cells[self.len])
    }

    #[inline(always)]
    pub(super) fn push(&mut self, cell: NonNull<u8>) {
        self.cells[self.len] = cell.as_ptr();
        self.len += 1;
    }

    /// Gives all memory back to the allocator.
    pub(super) fn release(&mut self, class: usize) {
        while let Some(cell) = self.pop() {
            // SAFETY: the memory of a free cell is the magazine's, and the allocator gave it for this layout.
            unsafe { alloc::dealloc(cell.as_ptr(), layout_of(class)) };
        }
    }
}

/// The magazines of one class: cells are pushed to the first and popped from it. The second is full, empty, or not there.
#[derive(Debug, Default)]
struct Pair {
    first: Option<Box<Magazine>>,
    second: Option<Box<Magazine>>,
}

/// See the module's documentation. Used by the worker's own thread alone.
#[derive(Debug)]
pub(crate) struct Magazines {
    pairs: [UnsafeCell<Pair>; CLASSES],
    depot: Arc<Depot>,
    /// The bytes of the cells that have come from the allocator since the heap has grown.
    fresh_bytes: Cell<usize>,
}

impl Magazines {
    pub(crate) fn new(depot: Arc<Depot>) -> Self {
        let pairs = std::array::from_fn(|_| UnsafeCell::new(Pair::default()));
        Self { pairs, depot, fresh_bytes: Cell::new(0) }
    }

    /// Calls `f`, which must not use this.
    #[inline(always)]
    fn with<R>(&self, class: usize, f: impl FnOnce(&mut Pair) -> R) -> R {
        // SAFETY: one thread uses this, and `f` is code of this file, which comes back here in no way.
        self.pairs[class].with_mut(|pair| f(unsafe { &mut *pair }))
    }

    /// The memory of a free cell, if there is one.
    #[inline]
    pub(super) fn take(&self, class: usize) -> Option<NonNull<u8>> {
        self.with(class, |pair| match &mut pair.first {
            Some(first) if !first.is_empty() => first.pop(),
            _ => self.take_more(class, pair),
        })
    }

    /// Memory from the allocator. Whoever spawns many new fibers makes the heap grow by a piece for the next ones, and not by a page for
    /// each twenty.
    #[cold]
    fn fresh(&self, layout: Layout) -> Option<NonNull<u8>> {
        let bytes = self.fresh_bytes.get() + layout.size();
        if bytes < heap::BYTES || !RECYCLES {
            self.fresh_bytes.set(bytes);
        } else {
            self.fresh_bytes.set(0);
            heap::grow();
        }
        from_allocator(layout)
    }

    /// Keeps the memory of a cell of the class.
    #[inline]
    pub(super) fn give(&self, class: usize, cell: NonNull<u8>) {
        self.with(class, |pair| match &mut pair.first {
            Some(first) if !first.is_full() => first.push(cell),
            _ => self.give_more(class, pair, cell),
        });
    }

    #[cold]
    fn take_more(&self, class: usize, pair: &mut Pair) -> Option<NonNull<u8>> {
        if pair.second.as_ref().is_none_or(|second| second.is_empty()) {
            let full = self.depot.take(class)?;
            // The worker keeps one empty magazine, for what it frees next.
            pair.second = Some(full);
        }
        std::mem::swap(&mut pair.first, &mut pair.second);
        pair.first.as_mut()?.pop()
    }

    #[cold]
    fn give_more(&self, class: usize, pair: &mut Pair, cell: NonNull<u8>) {
        std::mem::swap(&mut pair.first, &mut pair.second);
        if let Some(full) = pair.first.take_if(|first| first.is_full()) {
            self.depot.give(class, full);
        }
        if pair.first.is_none() {
            pair.first = Magazine::boxed();
        }
        match &mut pair.first {
            Some(first) => first.push(cell),
            // SAFETY: the memory of a free cell is the allocator's, for the layout of its class.
            None => unsafe { alloc::dealloc(cell.as_ptr(), layout_of(class)) },
        }
    }

    /// Gives up all memory: full magazines go to the depot, the other cells to the allocator. Returns false if there was none.
    pub(crate) fn give_all(&self) -> bool {
        let mut any = false;
        for class in 0..CLASSES {
            let pair = self.with(class, std::mem::take);
            for mut magazine in [pair.first, pair.second].into_iter().flatten() {
                any = true;
                if magazine.is_full() {
                    self.depot.give(class, magazine);
                } else {
                    magazine.release(class);
                }
            }
        }
        any
    }
}

impl Drop for Magazines {
    fn drop(&mut self) {
        self.give_all();
    }
}
