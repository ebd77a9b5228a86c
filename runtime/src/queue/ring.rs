//! [`Ring`]: an intrusive list that any of its items can leave in constant time.
//!
//! It owns no item and allocates nothing. Its items are linked both ways and closed to a ring, so the list is one word: the last
//! item is the one before the first. Each item carries one [`Links`], so an item is in at most one ring at a time. A ring has one
//! user at a time: the thread that owns it, or the one that holds the lock around it.

#![expect(unsafe_code, reason = "an intrusive list follows pointers to items that it does not own")]

use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};

/// The addresses of an item's neighbours, embedded in the item.
pub(crate) struct Links<T> {
    previous: Cell<*const T>,
    next: Cell<*const T>,
}

impl<T> Links<T> {
    /// Where the address of the next item is; for debuggers.
    pub(crate) const NEXT: usize = std::mem::offset_of!(Self, next);

    #[inline]
    pub(crate) const fn new() -> Self {
        Self { previous: Cell::new(ptr::null()), next: Cell::new(ptr::null()) }
    }

    /// The address of the next item; the last item's next is the first.
    #[inline]
    pub(crate) fn next(&self) -> *const T {
        self.next.get()
    }

    /// Sets the next item of an item that is in no ring, whose owner may thus chain it. A ring that takes the item overwrites this.
    #[inline]
    pub(crate) fn set_next(&self, to: *const T) {
        self.next.set(to);
    }
}

/// An item of a [`Ring`].
///
/// # Safety
/// `links` returns the same [`Links`], a field of `self`, every time. While the item is in a ring, nothing but the ring writes
/// them.
pub(crate) unsafe trait Linked: Sized {
    /// The item's links.
    fn links(&self) -> &Links<Self>;
}

/// See the module's documentation. All-zero bytes are an empty ring.
#[repr(transparent)]
pub(crate) struct Ring<T> {
    first: Cell<Option<NonNull<T>>>,
}

/// The links of an item of a ring.
///
/// # Safety
/// `item` is in a ring of which the caller is the user, or is about to be put into it, for as long as the result is used.
#[inline(always)]
unsafe fn links<'a, T: Linked>(item: *const T) -> &'a Links<T> {
    // SAFETY: by the contract of the pushes, an item is valid from the push until it has left the ring.
    unsafe { &*item }.links()
}

impl<T: Linked> Ring<T> {
    /// An empty ring.
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { first: Cell::new(None) }
    }

    /// Whether the ring is empty.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    /// The first item.
    #[inline]
    pub(crate) fn first(&self) -> Option<NonNull<T>> {
        self.first.get()
    }

    /// Puts `item` after all others.
    ///
    /// # Safety
    /// `item` is valid and in no ring. Until it has left this ring it stays valid, stays where it is and enters no other ring, and
    /// only the ring's user reads or writes its links.
    #[inline]
    pub(crate) unsafe fn push_back(&self, item: NonNull<T>) {
        let this = item.as_ptr().cast_const();
        // SAFETY: the item is about to be in this ring.
        let item_links = unsafe { links(this) };
        let Some(first) = self.first.get() else {
            item_links.previous.set(this);
            item_links.next.set(this);
            self.first.set(Some(item));
            return;
        };
        // SAFETY: the first item is in this ring.
        let last = unsafe { links(first.as_ptr()) }.previous.replace(this);
        item_links.previous.set(last);
        item_links.next.set(first.as_ptr());
        // SAFETY: so is the one before it, which is the last.
        unsafe { links(last) }.next.set(this);
    }

    /// Puts `item` before all others.
    ///
    /// # Safety
    /// As for [`push_back`](Self::push_back).
    #[inline]
    pub(crate) unsafe fn push_front(&self, item: NonNull<T>) {
        // The place before the first is the place after the last.
        // SAFETY: the caller's promise.
        unsafe { self.push_back(item) };
        self.first.set(Some(item));
    }

    /// Takes `item` out.
    ///
    /// # Safety
    /// `item` is in this ring.
    #[inline]
    pub(crate) unsafe fn unlink(&self, item: NonNull<T>) {
        let this = item.as_ptr().cast_const();
        // SAFETY: the caller's promise.
        let item_links = unsafe { links(this) };
        let (previous, next) = (item_links.previous.get(), item_links.next.get());
        if ptr::eq(next, this) {
            self.first.set(None);
            return;
        }
        // SAFETY: the neighbours of an item of this ring are items of it, too.
        unsafe { links(previous) }.next.set(next);
        // SAFETY: as above.
        unsafe { links(next) }.previous.set(previous);
        if self.first.get() == Some(item) {
            self.first.set(NonNull::new(next.cast_mut()));
        }
    }

    /// Takes the first item out; `None` if the ring is empty.
    #[inline]
    pub(crate) fn pop_front(&self) -> Option<NonNull<T>> {
        let first = self.first.get()?;
        // SAFETY: it is in this ring.
        unsafe { self.unlink(first) };
        Some(first)
    }

    /// Takes the `first` item out if there is no other. Returns whether it has.
    #[inline(always)]
    pub(crate) fn take_only(&self, first: NonNull<T>) -> bool {
        debug_assert_eq!(self.first.get(), Some(first), "it is the first");
        // SAFETY: it is in this ring.
        let is_alone = ptr::eq(unsafe { links(first.as_ptr()) }.next.get(), first.as_ptr());
        if is_alone {
            self.first.set(None);
        }
        is_alone
    }

    /// Takes all items out, into a ring of their own.
    #[inline]
    pub(crate) fn take(&self) -> Self {
        Self { first: Cell::new(self.first.take()) }
    }

    /// The item after `item`; `None` after the last.
    ///
    /// # Safety
    /// `item` is in this ring.
    #[inline]
    pub(crate) unsafe fn after(&self, item: NonNull<T>) -> Option<NonNull<T>> {
        // SAFETY: the caller's promise.
        let next = NonNull::new(unsafe { links(item.as_ptr()) }.next.get().cast_mut());
        if next == self.first.get() { None } else { next }
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("is_empty", &self.first.get().is_none()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::super::item::Item;
    use super::*;

    fn push_back(ring: &Ring<Item>, item: &Item) {
        // SAFETY: the tests keep their items in place to the end, and push only what is in no ring.
        unsafe { ring.push_back(NonNull::from(item)) };
    }

    fn push_front(ring: &Ring<Item>, item: &Item) {
        // SAFETY: as in `push_back`.
        unsafe { ring.push_front(NonNull::from(item)) };
    }

    fn unlink(ring: &Ring<Item>, item: &Item) {
        // SAFETY: the tests unlink only what is in the ring.
        unsafe { ring.unlink(NonNull::from(item)) };
    }

    /// The numbers of the items, first to last.
    fn numbers(ring: &Ring<Item>) -> Vec<usize> {
        // SAFETY: the walk leaves the ring as it is, so what it returns is in it.
        let walk = std::iter::successors(ring.first(), |&item| unsafe { ring.after(item) });
        walk.map(Item::number).collect()
    }

    #[test]
    fn items_leave_from_both_ends_and_from_the_middle() {
        let items = Item::many(5);
        let ring = Ring::new();
        assert!(ring.is_empty());
        items.iter().for_each(|item| push_back(&ring, item));
        assert_eq!(numbers(&ring), [0, 1, 2, 3, 4]);
        for (leaving, rest) in [(2, &[0, 1, 3, 4][..]), (4, &[0, 1, 3]), (0, &[1, 3]), (3, &[1]), (1, &[])] {
            unlink(&ring, &items[leaving]);
            assert_eq!(numbers(&ring), rest);
        }
        assert!(ring.is_empty());
        assert_eq!(ring.pop_front(), None);
    }

    #[test]
    fn an_emptied_ring_and_its_items_are_as_good_as_new() {
        let items = Item::many(3);
        let ring = Ring::new();
        for round in 0..3 {
            push_back(&ring, &items[1]);
            push_back(&ring, &items[2]);
            push_front(&ring, &items[0]);
            let popped = std::iter::from_fn(|| ring.pop_front()).map(Item::number).collect::<Vec<_>>();
            assert_eq!(popped, [0, 1, 2], "round {round}");
        }
    }

    #[test]
    fn an_item_moves_from_one_ring_to_another() {
        let items = Item::many(3);
        let (from, to) = (Ring::new(), Ring::new());
        items.iter().for_each(|item| push_back(&from, item));
        unlink(&from, &items[1]);
        push_back(&to, &items[1]);
        let rest = from.take();
        assert!(from.is_empty());
        let last = Item::new(3);
        push_back(&from, &last);
        assert_eq!((numbers(&from), numbers(&to), numbers(&rest)), (vec![3], vec![1], vec![0, 2]));
    }

    #[test]
    fn a_walk_may_take_out_the_item_that_it_is_at() {
        let items = Item::many(6);
        let ring = Ring::new();
        items.iter().for_each(|item| push_back(&ring, item));
        let mut at = ring.first();
        while let Some(item) = at {
            // SAFETY: `item` has been in the ring since the walk began.
            at = unsafe { ring.after(item) };
            if Item::number(item).is_multiple_of(2) {
                // SAFETY: as above.
                unsafe { ring.unlink(item) };
            }
        }
        assert_eq!(numbers(&ring), [1, 3, 5]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        PushBack,
        PushFront,
        Pop,
        /// The position is taken modulo the length.
        Unlink(usize),
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_deque(steps in prop::collection::vec(
            prop_oneof![
                2 => Just(Step::PushBack),
                1 => Just(Step::PushFront),
                1 => Just(Step::Pop),
                1 => any::<usize>().prop_map(Step::Unlink),
            ],
            0..200,
        )) {
            let items = Item::many(steps.len());
            let mut unused = items.iter().collect::<Vec<_>>();
            let ring = Ring::new();
            let mut oracle = VecDeque::new();
            for step in steps {
                match step {
                    Step::PushBack | Step::PushFront => {
                        let item = unused.pop().expect("enough for every step");
                        if matches!(step, Step::PushFront) {
                            push_front(&ring, item);
                            oracle.push_front(item.number);
                        } else {
                            push_back(&ring, item);
                            oracle.push_back(item.number);
                        }
                    }
                    Step::Pop => {
                        let popped = ring.pop_front().map(Item::number);
                        prop_assert_eq!(popped, oracle.pop_front());
                        unused.extend(popped.map(|number| &items[number]));
                    }
                    Step::Unlink(at) => if !oracle.is_empty() {
                        let number = oracle.remove(at % oracle.len()).expect("it is in range");
                        unlink(&ring, &items[number]);
                        unused.push(&items[number]);
                    },
                }
                prop_assert_eq!(numbers(&ring), Vec::from(oracle.clone()));
                prop_assert_eq!(ring.is_empty(), oracle.is_empty());
            }
        }
    }
}
