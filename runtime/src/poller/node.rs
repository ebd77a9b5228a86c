//! A node: one wait for a descriptor, in a slot's list.
//!
//! A fiber's node is on its stack. An async task may run, and drop its wait, between the claim and the wake-up, so its node is
//! on the heap and keeps itself alive.

#![expect(unsafe_code, reason = "nodes are shared between threads")]

use std::cell::Cell;
use std::ptr;
#[cfg(feature = "own-tls")]
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Context;

use super::slot::Slot;
use crate::atomic::{AtomicPtr, Ordering};
use crate::cell::{FutureWaiter, Waiter, Wakeup};
use crate::queue::{Linked, Links};

/// See the module's documentation.
pub(crate) struct Node {
    wait: Wait,
    /// Whether the node waits in line: of all such nodes an event wakes only one.
    pub(super) is_in_line: bool,
    /// The slot that the node is linked in; null if it is in none. Written under that slot's lock, so a thread that holds a
    /// slot's lock knows whether the node is in that slot.
    slot: AtomicPtr<Slot>,
    /// Of the list, and from the claim to the wake-up of the chain of claimed nodes.
    links: Links<Node>,
    /// The wake-up, between the claim and the delivery.
    pub(super) wakeup: Cell<Option<Wakeup>>,
    /// Keeps a task's node alive while it is linked, and until its wake-up is delivered: unlike a fiber, the task may run
    /// and drop the node in between.
    pub(super) keep_alive: Cell<Option<Arc<Node>>>,
}

/// The waiter of a fiber or of an async task.
enum Wait {
    Fiber(Waiter),
    /// A fiber's that waits for several descriptors.
    #[cfg(feature = "own-tls")]
    Shared(NonNull<Waiter>),
    Task(FutureWaiter),
}

// SAFETY: the cells are used under the lock while the node is linked, from the claim on by the claimer alone, and otherwise
// by the node's owner. Wake-ups and wakers are `Send`, and the list's pointers are followed by the same rule.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

// SAFETY: `links` always returns the same field. Nodes are chained only when they have left the list.
unsafe impl Linked for Node {
    #[inline(always)]
    fn links(&self) -> &Links<Self> {
        &self.links
    }
}

impl Node {
    pub(crate) fn new(waiter: Waiter) -> Self {
        Self::from_wait(Wait::Fiber(waiter))
    }

    /// A node that waits in line: an event wakes only the fiber in line that has waited longest. That fiber must wake the next,
    /// by [`Entry::wake_next_in_line`](super::slot::Entry::wake_next_in_line).
    pub(crate) fn in_line(waiter: Waiter) -> Self {
        Self { is_in_line: true, ..Self::new(waiter) }
    }

    /// One of several nodes with the same waiter: the first event that claims it ends the wait.
    ///
    /// # Safety
    ///
    /// The waiter outlives the node, and stays where it is.
    #[cfg(feature = "own-tls")]
    pub(crate) unsafe fn sharing(waiter: &Waiter) -> Self {
        Self::from_wait(Wait::Shared(NonNull::from(waiter)))
    }

    fn from_wait(wait: Wait) -> Self {
        Self {
            wait,
            is_in_line: false,
            slot: AtomicPtr::new(ptr::null_mut()),
            links: Links::new(),
            wakeup: Cell::new(None),
            keep_alive: Cell::new(None),
        }
    }

    /// A node for an async task. It keeps itself alive until an event, or until it is [`release`](Self::release)d.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn for_future(context: &Context<'_>) -> Arc<Self> {
        let node = Arc::new(Self::from_wait(Wait::Task(FutureWaiter::new(context))));
        node.keep_alive.set(Some(Arc::clone(&node)));
        node
    }

    /// Whether the node is linked in `slot`, whose lock the caller holds.
    pub(super) fn is_in(&self, slot: &Slot) -> bool {
        // Relaxed, here and below: the lock orders it.
        ptr::eq(self.slot.load(Ordering::Relaxed), slot)
    }

    pub(super) fn set_slot(&self, slot: *const Slot) {
        self.slot.store(slot.cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn is_of_future(&self) -> bool {
        matches!(self.wait, Wait::Task(_))
    }

    /// The waiter, which an event claims.
    #[inline]
    pub(crate) fn waiter(&self) -> &Waiter {
        match &self.wait {
            Wait::Fiber(waiter) => waiter,
            #[cfg(feature = "own-tls")]
            // SAFETY: the promise of `sharing`.
            Wait::Shared(waiter) => unsafe { waiter.as_ref() },
            Wait::Task(task) => task.waiter(),
        }
    }

    /// Whether the next event will wake the task of `context`. False if the node is a fiber's, or was claimed.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn will_wake(&self, context: &Context<'_>) -> bool {
        matches!(&self.wait, Wait::Task(task) if task.poll(context).is_none())
    }

    /// Lets a task's node be freed that is neither linked nor claimed.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn release(&self) {
        self.keep_alive.take();
    }
}
