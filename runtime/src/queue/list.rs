//! A first-in-first-out list that is threaded through its items: [`ReadyList`].
//!
//! It owns no item and allocates nothing: each item carries one [`Next`], so an item is in at most one list or
//! [`Inbox`](super::Inbox) at a time. One thread owns a list (its cells make it neither `Send` nor `Sync`); the
//! items may come from other threads through an inbox. A yield is one `push_back` and one `pop_front`, so both
//! are a handful of instructions.

#![expect(unsafe_code, reason = "an intrusive list follows pointers to items that it does not own")]

use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;

use crate::atomic::{UnsafeCell, const_fn};
use crate::os::peek;

/// The pointer to the next item, embedded in each item. Only this folder reads or writes it.
pub(crate) struct Next<T>(UnsafeCell<Option<NonNull<T>>>);

impl<T> Next<T> {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(UnsafeCell::new(None))
        }
    }

    /// # Safety
    /// The caller has the item to itself: it is in a list of this thread, or it is being put into one.
    #[inline(always)]
    pub(super) unsafe fn get(&self) -> Option<NonNull<T>> {
        // SAFETY: the caller has the item to itself, so nobody writes.
        self.0.with(|next| unsafe { *next })
    }

    /// # Safety
    /// As for [`get`](Self::get).
    #[inline(always)]
    pub(super) unsafe fn set(&self, to: Option<NonNull<T>>) {
        // SAFETY: the caller has the item to itself, so nobody reads or writes.
        self.0.with_mut(|next| unsafe { *next = to });
    }
}

impl<T> fmt::Debug for Next<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pointer belongs to whichever thread has the item: it must not be read here.
        f.write_str("Next(..)")
    }
}

/// An item of a [`ReadyList`] or an [`Inbox`](super::Inbox).
///
/// # Safety
/// `next` returns the same [`Next`], a field of `self`, every time.
pub(crate) unsafe trait Link: Sized {
    /// The item's link.
    fn next(&self) -> &Next<Self>;
}

/// See the module's documentation.
pub(crate) struct ReadyList<T> {
    head: Cell<Option<NonNull<T>>>,
    /// The last item. Stale while the list is empty, which saves `pop_front` a branch: whoever uses it looks at
    /// `head` first.
    tail: Cell<Option<NonNull<T>>>,
}

impl<T: Link> ReadyList<T> {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self { head: Cell::new(None), tail: Cell::new(None) }
    }

    /// Puts `item` behind all others.
    ///
    /// # Safety
    /// `item` is valid and in no list or inbox, and until it has been popped again it stays valid, stays where it
    /// is and enters no other one.
    #[inline]
    pub(crate) unsafe fn push_back(&self, item: NonNull<T>) {
        // SAFETY: `item` is valid and in no list, so this thread has it to itself.
        unsafe { item.as_ref().next().set(None) };
        match (self.head.get(), self.tail.get()) {
            // SAFETY: the list is not empty, so its tail is an item: valid and in no other list.
            (Some(_), Some(tail)) => unsafe { tail.as_ref().next().set(Some(item)) },
            _ => self.head.set(Some(item)),
        }
        self.tail.set(Some(item));
    }

    /// Puts `item` before all others.
    ///
    /// # Safety
    /// As for [`push_back`](Self::push_back).
    #[inline]
    pub(crate) unsafe fn push_front(&self, item: NonNull<T>) {
        let head = self.head.get();
        // SAFETY: `item` is valid and in no list, so this thread has it to itself.
        unsafe { item.as_ref().next().set(head) };
        if head.is_none() {
            self.tail.set(Some(item));
        }
        self.head.set(Some(item));
    }

    /// Whether there is nothing to pop.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }

    /// Whether there is nothing to pop from a list of another thread, at some moment. `None` when the kernel does not let the
    /// process look.
    pub(crate) fn peek_is_empty(this: *const Self) -> Option<bool> {
        // SAFETY: two addresses, which are not followed.
        Some(unsafe { peek::value(this)?.assume_init() }.is_empty())
    }

    /// The two items that are before all others.
    #[inline(always)]
    pub(crate) fn first_two(&self) -> [Option<NonNull<T>>; 2] {
        let first = self.head.get();
        // SAFETY: by the contract of the pushes an item of this list is valid and in no other.
        [first, first.and_then(|first| unsafe { first.as_ref().next().get() })]
    }

    /// Takes the item that is before all others; `None` when the list is empty.
    #[inline]
    pub(crate) fn pop_front(&self) -> Option<NonNull<T>> {
        let item = self.head.get()?;
        // SAFETY: by the contract of the pushes an item of this list is valid and in no other.
        self.head.set(unsafe { item.as_ref().next().get() });
        Some(item)
    }
}

impl<T> fmt::Debug for ReadyList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyList").field("is_empty", &self.head.get().is_none()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::super::item::Item;
    use super::*;

    #[test]
    fn an_emptied_list_is_as_good_as_new() {
        let items = Item::many(2);
        let list = ReadyList::new();
        for round in 0..3 {
            for item in &items {
                // SAFETY: `items` outlives the list and every item was popped before.
                unsafe { list.push_back(NonNull::from(item)) };
            }
            assert_eq!(list.pop_front().map(Item::number), Some(0), "round {round}");
            assert_eq!(list.pop_front().map(Item::number), Some(1));
            assert_eq!(list.pop_front().map(Item::number), None);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        PushBack,
        PushFront,
        Pop,
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_deque(steps in prop::collection::vec(
            prop_oneof![
                Just(Step::PushBack),
                Just(Step::PushFront),
                Just(Step::Pop),
            ],
            0..200,
        )) {
            let items = Item::many(steps.len());
            let mut unused = items.iter();
            let list = ReadyList::new();
            let mut oracle = VecDeque::new();
            for step in steps {
                match step {
                    Step::PushBack | Step::PushFront => {
                        let item = unused.next().expect("enough for every step");
                        let front = matches!(step, Step::PushFront);
                        if front { oracle.push_front(item.number) } else { oracle.push_back(item.number) };
                        let item = NonNull::from(item);
                        // SAFETY: `items` outlives the list; an item is used once.
                        unsafe { if front { list.push_front(item) } else { list.push_back(item) } };
                    }
                    Step::Pop => prop_assert_eq!(list.pop_front().map(Item::number), oracle.pop_front()),
                }
                let expected = [oracle.front().copied(), oracle.get(1).copied()];
                prop_assert_eq!(list.first_two().map(|item| item.map(Item::number)), expected);
            }
            while let Some(item) = list.pop_front() {
                prop_assert_eq!(Some(Item::number(item)), oracle.pop_front());
            }
            prop_assert!(oracle.is_empty());
        }
    }
}
