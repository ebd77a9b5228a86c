//! The item that this folder's tests put into lists, rings and inboxes.

#![expect(unsafe_code, reason = "it is an item of intrusive queues")]

use std::ptr::NonNull;

use super::{Link, Linked, Links, Next};

pub(super) struct Item {
    next: Next<Item>,
    links: Links<Item>,
    pub(super) number: usize,
}

// SAFETY: `next` always returns the same field.
unsafe impl Link for Item {
    fn next(&self) -> &Next<Self> {
        &self.next
    }
}

// SAFETY: `links` always returns the same field, which only rings write.
unsafe impl Linked for Item {
    fn links(&self) -> &Links<Self> {
        &self.links
    }
}

// SAFETY: the number is never written, and the queues under test give the links to one thread at a time.
unsafe impl Sync for Item {}

impl Item {
    pub(super) fn new(number: usize) -> Self {
        Self { next: Next::new(), links: Links::new(), number }
    }

    /// Items numbered from 0.
    pub(super) fn many(count: usize) -> Vec<Self> {
        (0..count).map(Self::new).collect()
    }

    /// The number of an item that came out of a queue. The tests keep their items alive and in place to the end.
    pub(super) fn number(item: NonNull<Self>) -> usize {
        // SAFETY: see above; only shared references to items exist.
        unsafe { item.as_ref() }.number
    }
}
