//! A worker's inbox: how other threads hand it fibers, and how they learn that it must be woken.
//!
//! Any thread pushes; the owner drains all items at once, in the order of the pushes. The inbox is a stack of linked items
//! whose only shared word, the head, also says whether the owner sleeps. Since a push and the owner's step to
//! sleep are read-modify-write operations on **one** word, they happen one after the other: either the push comes
//! first and the owner does not sleep, or the sleep comes first and the pusher learns that it must notify the owner (by a
//! write to an eventfd, which ends the owner's `epoll_wait`). No fence, no second flag, no bound.
//!
//! | head | means | push | notify | begin_sleep |
//! |---|---|---|---|---|
//! | `EMPTY` (null) | nothing to do | item | `NOTIFIED` | `SLEEPING` |
//! | an item | drain it | item, before that one | that item, again | refused |
//! | `NOTIFIED` | nothing here, but the owner must look for work elsewhere once more | item | `NOTIFIED`, again | refused |
//! | `SLEEPING` | the owner waits in the kernel, or is about to | item, **must write the eventfd** | `EMPTY`, **must write the eventfd** | - |
//!
//! Rejected: a flag beside the queue (a push then needs a sequentially consistent fence between the push and the load of
//! the flag, at every wake-up); a notification that does nothing to an owner that is awake (an owner that has looked for
//! work for the last time but has not yet begun to sleep would miss it); a notification that only loads a head which
//! says enough already (the owner's drain is then not ordered after the work that it was notified of). `model_inbox.rs`
//! checks all of it with loom.

#![expect(unsafe_code, reason = "an intrusive queue follows pointers to items that it does not own")]

use std::fmt;
use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::{Link, ReadyList};
use crate::atomic::{AtomicPtr, Ordering};

/// See the module's documentation.
pub(crate) struct Inbox<T> {
    /// On a cache line of its own: other workers write it all the time, and the owner's private data surrounds it.
    head: CachePadded<AtomicPtr<T>>,
}

/// What a [`push`](Inbox::push) found, and whether the pusher must notify the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an owner that sleeps must be notified"]
pub(crate) enum Pushed {
    /// The owner is awake and will drain its inbox before it sleeps.
    OwnerAwake,
    /// The owner sleeps, and no other thread will notify it of this item: the pusher must.
    OwnerSleeps,
}

impl<T> Inbox<T> {
    const EMPTY: *mut T = ptr::null_mut();
    const NOTIFIED: *mut T = ptr::without_provenance_mut(1);
    const SLEEPING: *mut T = ptr::without_provenance_mut(2);

    /// An empty inbox whose owner is awake.
    pub(crate) fn new() -> Self {
        Self { head: CachePadded::new(AtomicPtr::new(Self::EMPTY)) }
    }

    /// The item in `head`; `None` for the other states.
    fn item(head: *mut T) -> Option<NonNull<T>> {
        NonNull::new(head).filter(|_| head != Self::NOTIFIED && head != Self::SLEEPING)
    }

    /// The owner is about to wait in the kernel: a thread that pushes or notifies from now on must write the eventfd. Returns
    /// `false` if the owner must not sleep, because there are items or a notification; a [`drain`](Self::drain) clears both.
    #[must_use = "an owner which is refused must drain and look around again"]
    pub(crate) fn begin_sleep(&self) -> bool {
        // Release: pairs with the Acquire in `push` and `notify`, so that the notifying thread sees what the owner wrote about
        // where it sleeps. The drain acquires what was pushed.
        self.head.compare_exchange(Self::EMPTY, Self::SLEEPING, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Whether there are items or a notification to [`drain`](Self::drain). One load, which orders nothing.
    #[inline]
    pub(crate) fn has_items(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        head != Self::EMPTY && head != Self::SLEEPING
    }

    /// Whether the owner sleeps: a hint for other threads.
    #[inline]
    pub(crate) fn is_sleeping(&self) -> bool {
        self.head.load(Ordering::Relaxed) == Self::SLEEPING
    }

    /// The owner is back from the kernel. Returns `true` if no thread has ended its sleep; `false` if a push or a notification
    /// has, so that a write to the eventfd has arrived or is under way.
    pub(crate) fn end_sleep(&self) -> bool {
        // Acquire on failure: pairs with the Release in `notify`, which may leave nothing to drain. The event that ended the
        // wait in the kernel need not come from this notification: a late one for an earlier sleep orders nothing of this one.
        self.head.compare_exchange(Self::SLEEPING, Self::EMPTY, Ordering::Relaxed, Ordering::Acquire).is_ok()
    }

    /// Asks the owner to look for work that is not in its inbox. Returns `true` if the owner sleeps: the caller must then write
    /// its eventfd. An owner that is awake will be refused its next [`begin_sleep`](Self::begin_sleep).
    #[must_use = "true means that the caller must write the owner's eventfd"]
    pub(crate) fn notify(&self) -> bool {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let (to, must_write) = if head == Self::SLEEPING {
                (Self::EMPTY, true)
            } else if head == Self::EMPTY {
                (Self::NOTIFIED, false)
            } else {
                // Stored all the same: a load would not order the work before the drain of the items that are there.
                (head, false)
            };
            // Acquire: pairs with the Release in `begin_sleep`. Release: pairs with the Acquire in `drain` and `end_sleep`,
            // so that an owner that finds `NOTIFIED` or the items, or that its sleep was ended, also finds the work.
            match self.head.compare_exchange_weak(head, to, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return must_write,
                Err(now) => head = now,
            }
        }
    }
}

impl<T: Link> Inbox<T> {
    /// Adds `item`, from any thread.
    ///
    /// # Safety
    /// `item` is valid and in no list or inbox, and until it has been drained and popped it stays valid, stays where
    /// it is and enters no other list or inbox. The owner's thread may have it.
    #[inline]
    pub(crate) unsafe fn push(&self, item: NonNull<T>) -> Pushed {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: `item` is valid and in no list, and no other thread reaches it before the exchange succeeds.
            unsafe { item.as_ref().next().set(Self::item(head)) };
            // Release: pairs with the Acquire in `drain`, which thereby sees this item and, since a later push continues
            // the release sequence, all those below it. Acquire: pairs with the Release in `begin_sleep`.
            match self.head.compare_exchange_weak(head, item.as_ptr(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if head == Self::SLEEPING => return Pushed::OwnerSleeps,
                Ok(_) => return Pushed::OwnerAwake,
                Err(now) => head = now,
            }
        }
    }

    /// Takes all items, the oldest push first. The owner calls this, while it is awake. One load if there is nothing.
    #[inline]
    pub(crate) fn drain(&self) -> ReadyList<T> {
        // Relaxed: an item that this misses is found by the next drain, or refuses the next `begin_sleep`.
        if self.head.load(Ordering::Relaxed) == Self::EMPTY { ReadyList::new() } else { self.drain_items() }
    }

    fn drain_items(&self) -> ReadyList<T> {
        // Acquire: pairs with the Release in `push`.
        let head = self.head.swap(Self::EMPTY, Ordering::Acquire);
        debug_assert!(head != Self::SLEEPING, "a sleeping owner does not drain");
        Self::list_from(Self::item(head))
    }

    /// Takes all items, as [`drain`](Self::drain) does, in the place of an owner that is busy. From any thread, which must push back
    /// what only the owner may have, and must [`notify`](Self::notify) the owner then: it may have been notified of something else.
    pub(crate) fn drain_from_outside(&self) -> ReadyList<T> {
        let mut head = self.head.load(Ordering::Relaxed);
        while let Some(item) = Self::item(head) {
            // Acquire: as in `drain_items`.
            match self.head.compare_exchange_weak(head, Self::EMPTY, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Self::list_from(Some(item)),
                Err(now) => head = now,
            }
        }
        ReadyList::new()
    }

    /// The items below `newest`, with it, the oldest first. They are the calling thread's.
    fn list_from(mut newest: Option<NonNull<T>>) -> ReadyList<T> {
        let list = ReadyList::new();
        while let Some(item) = newest {
            // SAFETY: by the contract of `push` the item is valid; the swap gave it and all below it to this thread.
            newest = unsafe { item.as_ref().next().get() };
            // SAFETY: as above. It is in no list now, and the contract of `push` covers the rest.
            unsafe { list.push_front(item) };
        }
        list
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.head.load(Ordering::Relaxed);
        f.write_str(match head {
            _ if head == Self::EMPTY => "Inbox(empty)",
            _ if head == Self::NOTIFIED => "Inbox(notified)",
            _ if head == Self::SLEEPING => "Inbox(sleeping)",
            _ => "Inbox(items)",
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::super::item::Item;
    use super::*;

    fn push(inbox: &Inbox<Item>, item: &Item) -> Pushed {
        // SAFETY: the tests keep their items alive and in place to the end, and push each only once.
        unsafe { inbox.push(NonNull::from(item)) }
    }

    fn numbers(list: &ReadyList<Item>) -> Vec<usize> {
        std::iter::from_fn(|| list.pop_front()).map(Item::number).collect()
    }

    #[test]
    fn a_drain_takes_everything_in_the_order_of_the_pushes() {
        let items = Item::many(4);
        let inbox = Inbox::new();
        assert!(inbox.drain().pop_front().is_none());
        for item in &items[..3] {
            assert_eq!(push(&inbox, item), Pushed::OwnerAwake);
        }
        assert_eq!(numbers(&inbox.drain()), [0, 1, 2]);
        assert_eq!(push(&inbox, &items[3]), Pushed::OwnerAwake);
        assert_eq!(numbers(&inbox.drain()), [3]);
        assert!(inbox.drain().pop_front().is_none());
    }

    #[test]
    fn only_the_first_that_finds_the_owner_asleep_must_notify_it() {
        let items = Item::many(2);
        let inbox = Inbox::new();
        assert!(inbox.begin_sleep());
        assert_eq!(push(&inbox, &items[0]), Pushed::OwnerSleeps);
        assert_eq!(push(&inbox, &items[1]), Pushed::OwnerAwake);
        assert!(!inbox.notify());
        assert!(!inbox.end_sleep());
        assert_eq!(numbers(&inbox.drain()), [0, 1]);
        assert!(inbox.begin_sleep());
        assert!(inbox.notify());
        assert!(!inbox.notify());
    }

    #[test]
    fn an_owner_with_items_or_a_notification_must_not_sleep() {
        let items = Item::many(1);
        let inbox = Inbox::new();
        assert_eq!(push(&inbox, &items[0]), Pushed::OwnerAwake);
        assert!(!inbox.begin_sleep());
        assert_eq!(numbers(&inbox.drain()), [0]);
        assert!(!inbox.notify());
        assert!(!inbox.begin_sleep());
        assert!(inbox.drain().pop_front().is_none());
        assert!(inbox.begin_sleep());
        assert!(inbox.end_sleep(), "no other thread has ended this sleep");
        assert!(inbox.begin_sleep());
    }

    #[test]
    fn an_item_replaces_the_mark_of_a_notification() {
        let items = Item::many(1);
        let inbox = Inbox::new();
        assert!(!inbox.notify());
        assert_eq!(push(&inbox, &items[0]), Pushed::OwnerAwake);
        assert_eq!(numbers(&inbox.drain()), [0]);
        assert!(inbox.begin_sleep());
    }

    #[test]
    fn a_sleeping_owner_loses_nothing_under_contention() {
        const PUSHERS: usize = 3;
        const EACH: usize = 20_000;
        let batches: Vec<_> = (0..PUSHERS).map(|_| Item::many(EACH)).collect();
        let inbox = Inbox::new();
        let (notifications, sleeps) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let owner = thread::current();
        let mut next = [0; PUSHERS];
        thread::scope(|scope| {
            for batch in &batches {
                let (inbox, notifications, owner) = (&inbox, &notifications, &owner);
                scope.spawn(move || {
                    for item in batch {
                        if push(inbox, item) == Pushed::OwnerSleeps {
                            notifications.fetch_add(1, Ordering::Relaxed);
                            owner.unpark();
                        }
                    }
                });
            }
            while next.iter().sum::<usize>() < PUSHERS * EACH {
                let list = inbox.drain();
                while let Some(item) = list.pop_front() {
                    let address = item.as_ptr().cast_const();
                    let pusher = batches
                        .iter()
                        .position(|batch| batch.as_ptr_range().contains(&address))
                        .expect("an item of one of the batches");
                    assert_eq!(Item::number(item), next[pusher], "first in, first out for each pusher");
                    next[pusher] += 1;
                }
                if inbox.begin_sleep() {
                    sleeps.fetch_add(1, Ordering::Relaxed);
                    // A lost notification hangs here.
                    if next.iter().sum::<usize>() < PUSHERS * EACH {
                        thread::park();
                    }
                    inbox.end_sleep();
                }
            }
        });
        assert!(notifications.into_inner() <= sleeps.into_inner(), "at most one notification for each sleep");
    }
}

#[cfg(all(test, loom))]
#[path = "model_inbox.rs"]
mod model;
