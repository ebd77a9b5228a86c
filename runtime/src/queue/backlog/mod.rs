//! A worker's items that any worker may take: its own worker takes the newest, others take the older half at once.
//!
//! The item that has waited longest here must not wait longer at the thief, so what is stolen runs oldest first. The newest items lie in
//! a [window](Window), where half of them are taken by one operation. What does not fit in goes, oldest first, into blocks of half a window;
//! those lie in a deque of crossbeam's, which gives them away whole. `README.md` has the argument.

#![expect(unsafe_code, reason = "its owner reads and writes the window's slots")]

mod span;
mod window;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_deque::Steal;

use self::span::{ONE, Span, is_owners};
use self::window::{CAPACITY, Window};
use super::Slot;

/// How many items a block has, at most.
const BLOCK: u16 = CAPACITY / 2;

/// Items in order, the oldest first.
type Block<T> = VecDeque<T>;

/// The owner's side of a backlog.
pub(crate) struct Backlog<T> {
    shared: Arc<Shared<T>>,
    /// The window's word after the owner's last operation. Its tail is always true, since only the owner changes that.
    seen: Cell<u64>,
    /// The position to which the owner may write.
    limit: Cell<u16>,
    blocks: crossbeam_deque::Worker<Block<T>>,
    /// How many blocks there are, at most: thieves may have taken some.
    blocks_at_most: Cell<usize>,
}

/// What the owner and thieves share, but for the blocks.
struct Shared<T> {
    window: Window<T>,
    /// The block of which the owner has taken the oldest items. It is a leaked box, of the thread that takes it.
    opened: Slot<Block<T>>,
}

/// A thief's side of a backlog.
pub(crate) struct Stealer<T> {
    shared: Arc<Shared<T>>,
    blocks: crossbeam_deque::Stealer<Block<T>>,
}

impl<T: Copy> Backlog<T> {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared { window: Window::new(), opened: Slot::new() }),
            seen: Cell::new(0),
            limit: Cell::new(CAPACITY),
            blocks: crossbeam_deque::Worker::new_lifo(),
            blocks_at_most: Cell::new(0),
        }
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer { shared: Arc::clone(&self.shared), blocks: self.blocks.stealer() }
    }

    /// Adds the newest item. Returns how many there are then, about, if the window was not empty.
    #[inline]
    pub(crate) fn push(&self, item: T) -> usize {
        let seen = self.seen.get();
        if is_owners(seen) {
            // All of it is free, by a word that was acquired: no push leaves the window empty.
            self.limit.set(Span::of(seen).tail.wrapping_add(CAPACITY));
            self.put(seen, [item].into_iter());
            return 1;
        }
        self.push_behind(item)
    }

    /// [`push`](Self::push) without memory; gives the item back if there is no room for it but in a block.
    #[cfg(feature = "own-tls")]
    pub(crate) fn push_into_window(&self, item: T) -> Result<usize, T> {
        let has_room = is_owners(self.seen.get()) || self.has_room(1) || self.sees_room(1);
        if has_room { Ok(self.push(item)) } else { Err(item) }
    }

    fn push_behind(&self, item: T) -> usize {
        if !self.has_room(1) && !self.make_room() {
            self.push_block(Block::from([item]));
            return self.in_blocks();
        }
        let before = self.put(self.seen.get(), [item].into_iter());
        usize::from(Span::of(before).len()) + 1 + self.in_blocks()
    }

    /// Takes the newest item.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        let window = &self.shared.window;
        let mut word = self.seen.get();
        loop {
            if Span::of(word).len() == 0 {
                self.seen.set(word);
                if self.blocks_at_most.get() == 0 && self.shared.opened.is_empty() {
                    return None;
                }
                return self.pop_beyond_window();
            }
            match window.change(word, word.wrapping_sub(ONE)) {
                Ok(_) => {
                    let after = word.wrapping_sub(ONE);
                    self.seen.set(after);
                    // SAFETY: the owner has just taken what lies at the new tail.
                    return Some(unsafe { window.read(Span::of(after).tail) });
                }
                Err(now) => word = now,
            }
        }
    }

    /// The item that the owner would take next from its window, unless it is stolen.
    #[inline]
    pub(crate) fn newest(&self) -> Option<T> {
        let seen = Span::of(self.seen.get());
        // SAFETY: the owner has written to the slot, and has not taken the item; it may have been stolen.
        (seen.len() != 0).then(|| unsafe { self.shared.window.read(seen.tail.wrapping_sub(1)) })
    }

    /// Takes the oldest item.
    pub(crate) fn pop_oldest(&self) -> Option<T> {
        if let Some(block) = self.shared.take_opened() {
            return Some(self.open(block));
        }
        if self.blocks_at_most.get() != 0
            && let Some(block) = steal_block(&self.blocks.stealer())
        {
            self.blocks_at_most.set(self.blocks_at_most.get() - 1);
            return Some(self.open(block));
        }
        let window = &self.shared.window;
        let mut word = self.seen.get();
        loop {
            let span = Span::of(word);
            if span.len() == 0 {
                self.seen.set(word);
                return None;
            }
            let rest = span.without_oldest(1);
            // If another thread copies, it will say so of this item as well, which then lies behind its own.
            let after = if span.is_settled() { rest.all_copied() } else { rest }.word();
            match window.change(word, after) {
                Ok(_) => {
                    self.seen.set(after);
                    // SAFETY: the owner has just taken it, and writes to the slot later.
                    return Some(unsafe { window.read(span.head) });
                }
                Err(now) => word = now,
            }
        }
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.window.len() == 0
            && (self.blocks_at_most.get() == 0 || self.blocks.is_empty())
            && self.shared.opened.is_empty()
    }

    /// Takes the oldest item of a block, and keeps the others where the next call finds them.
    fn open(&self, mut block: Block<T>) -> T {
        let oldest = block.pop_front().expect("no block is empty");
        if !block.is_empty() {
            self.shared.put_opened(block);
        }
        oldest
    }

    /// Takes an item, if the window is empty. Not inlined: most fibers that are spawned are picked from the window.
    #[inline(never)]
    fn pop_beyond_window(&self) -> Option<T> {
        if self.blocks_at_most.get() != 0 {
            if let Some(mut block) = self.blocks.pop() {
                self.blocks_at_most.set(self.blocks_at_most.get() - 1);
                let newest = block.pop_back().expect("no block is empty");
                if !self.try_put(block.iter().copied()) {
                    self.push_block(block);
                }
                return Some(newest);
            }
            self.blocks_at_most.set(0);
        }
        let block = self.shared.take_opened()?;
        let mut items = block.into_iter();
        let oldest = items.next();
        self.take_over(items);
        oldest
    }

    /// Adds items, given oldest first, that are to be taken before all others and in their order.
    fn take_over(&self, items: impl DoubleEndedIterator<Item = T> + ExactSizeIterator) {
        if items.len() == 0 {
            return;
        }
        if self.has_room(items.len()) || self.sees_room(items.len()) {
            self.put(self.seen.get(), items.rev());
        } else if self.shared.opened.is_empty() {
            self.shared.put_opened(items.collect());
        } else {
            self.push_block(items.rev().collect());
        }
    }

    /// Adds items, given oldest first, if there is room in the window.
    fn try_put(&self, items: impl ExactSizeIterator<Item = T>) -> bool {
        if items.len() == 0 {
            return true;
        }
        let fits = self.has_room(items.len()) || self.sees_room(items.len());
        if fits {
            self.put(self.seen.get(), items);
        }
        fits
    }

    /// Whether the owner knows that so many more items fit into the window.
    #[inline(always)]
    fn has_room(&self, count: usize) -> bool {
        usize::from(self.limit.get().wrapping_sub(Span::of(self.seen.get()).tail)) >= count
    }

    /// Looks again whether so many more items fit into the window.
    fn sees_room(&self, count: usize) -> bool {
        let word = self.shared.window.look();
        self.seen.set(word);
        self.limit.set(Span::of(word).copied.wrapping_add(CAPACITY));
        self.has_room(count)
    }

    /// Puts items for which there is room into the window, whose word was `seen` last, and shows them. Returns the word before.
    ///
    /// There is at least one: what a publish reads is not acquired, so it must not become a word that says that all slots are free.
    #[inline(always)]
    fn put(&self, seen: u64, items: impl ExactSizeIterator<Item = T>) -> u64 {
        let window = &self.shared.window;
        let tail = Span::of(seen).tail;
        let count = items.len() as u16;
        debug_assert!(count != 0, "a publish of nothing acquires nothing");
        for (index, item) in items.enumerate() {
            // SAFETY: below the limit, which came from a word that the owner has acquired.
            unsafe { window.write(tail.wrapping_add(index as u16), item) };
        }
        let before = window.publish(seen, count);
        self.seen.set(before.wrapping_add(u64::from(count) * ONE));
        before
    }

    /// Makes room for an item in a window that has none, as far as the owner knows: moves the oldest items into a block, or the newest
    /// while another thread still copies the oldest. It fails if they all are taken and not yet copied.
    #[cold]
    fn make_room(&self) -> bool {
        let window = &self.shared.window;
        while !self.sees_room(1) {
            let word = self.seen.get();
            let span = Span::of(word);
            let count = span.len().min(BLOCK);
            if count == 0 {
                return false;
            }
            let (first, after) = if span.is_settled() {
                (span.head, span.without_oldest(count).all_copied())
            } else {
                (span.tail.wrapping_sub(count), span.without_newest(count))
            };
            if window.change(word, after.word()).is_ok() {
                self.seen.set(after.word());
                // SAFETY: the owner has just taken them, and writes to their slots later.
                let items = (0..count).map(|index| unsafe { window.read(first.wrapping_add(index)) });
                self.push_block(items.collect());
            }
        }
        true
    }

    /// How many items there are in blocks, about.
    #[inline(always)]
    fn in_blocks(&self) -> usize {
        self.blocks_at_most.get() * usize::from(BLOCK)
    }

    fn push_block(&self, block: Block<T>) {
        self.blocks.push(block);
        self.blocks_at_most.set(self.blocks_at_most.get() + 1);
    }
}

impl<T: Copy> Stealer<T> {
    /// How many items there are, about, if they are many.
    pub(crate) fn len(&self) -> usize {
        let blocks = self.blocks.len() + usize::from(!self.shared.opened.is_empty());
        self.shared.window.len() + blocks * usize::from(BLOCK)
    }

    /// Takes the older half of the items, or a block of the oldest if there are many. Returns the oldest and how many have been taken.
    /// The others are what `own` then gives, oldest first.
    pub(crate) fn steal_into(&self, own: &Backlog<T>) -> Option<(T, usize)> {
        if let Some(block) = self.shared.take_opened().or_else(|| steal_block(&self.blocks)) {
            let stolen = block.len();
            let mut items = block.into_iter();
            let oldest = items.next()?;
            own.take_over(items);
            return Some((oldest, stolen));
        }
        let claimed = self.shared.window.claim()?;
        let mut items = claimed.items();
        let oldest = items.next()?;
        own.take_over(items);
        Some((oldest, claimed.len()))
    }
}

impl<T> Shared<T> {
    #[inline]
    fn take_opened(&self) -> Option<Block<T>> {
        let block = self.opened.take()?;
        Some(*unbox(block))
    }

    /// Shows a block, if none is shown. For the owner.
    fn put_opened(&self, block: Block<T>) {
        self.opened.put(NonNull::from(Box::leak(Box::new(block))));
    }
}

/// The box that `put_opened` has leaked.
fn unbox<T>(block: NonNull<Block<T>>) -> Box<Block<T>> {
    // SAFETY: the slot gives a pointer to one taker, and only `put_opened` puts.
    unsafe { Box::from_raw(block.as_ptr()) }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        drop(self.opened.take().map(unbox));
    }
}

fn steal_block<T>(blocks: &crossbeam_deque::Stealer<Block<T>>) -> Option<Block<T>> {
    loop {
        match blocks.steal() {
            Steal::Success(block) => return Some(block),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

impl<T> fmt::Debug for Backlog<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog")
            .field("window", &self.shared.window)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}
