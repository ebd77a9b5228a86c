//! A node: one wait for a descriptor, in a slot's list.
//!
//! A fiber's lies on its stack. A task may run, and forget its wait, between the claim and the wake-up, so its node is on
//! the heap and keeps itself.

#![expect(unsafe_code, reason = "nodes are shared between threads")]

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::task::Context;

use super::slot::Slot;
use crate::atomic::{AtomicPtr, Ordering};
use crate::cell::{TaskWaiter, Waiter, Woken};

/// One fiber's wait, on its stack; or one task's, on the heap.
pub(crate) struct Node {
    wait: Wait,
    /// Whether one of those in line is enough for an event.
    pub(super) is_in_line: bool,
    /// The slot in whose list it is; null when it is in none. Written under that slot's lock, so whoever holds a slot's lock
    /// knows whether it is in that one.
    slot: AtomicPtr<Slot>,
    pub(super) next: Cell<*const Node>,
    pub(super) previous: Cell<*const Node>,
    /// The wake-up that its claim owes, between the claim and the delivery.
    pub(super) woken: Cell<Option<Woken>>,
    /// Keeps a task's node while it is linked, and until its wake-up is delivered: unlike a fiber, the task may run
    /// and forget it in between.
    pub(super) itself: Cell<Option<Arc<Node>>>,
}

/// Who waits.
enum Wait {
    /// A fiber.
    Fiber(Waiter),
    Task(TaskWaiter),
}

// SAFETY: the cells are used under the lock while the node is linked, and from the claim on by the claimer alone; before
// and after by its owner. Wake-ups and wakers are `Send`, and the list's pointers are followed by the same rule.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new(waiter: Waiter) -> Self {
        Self::from_wait(Wait::Fiber(waiter))
    }

    /// For one that stands in line: of several, an event wakes the one who has waited longest, and that one the next, by
    /// [`Place::pass_on`](super::slot::Place::pass_on).
    pub(crate) fn in_line(waiter: Waiter) -> Self {
        Self { is_in_line: true, ..Self::new(waiter) }
    }

    fn from_wait(wait: Wait) -> Self {
        Self {
            wait,
            is_in_line: false,
            slot: AtomicPtr::new(ptr::null_mut()),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            woken: Cell::new(None),
            itself: Cell::new(None),
        }
    }

    /// A task's node, to be linked. It stays alive by itself until an event, or until it is [`forget`](Self::forget)ed.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn for_task(context: &Context<'_>) -> Arc<Self> {
        let node = Arc::new(Self::from_wait(Wait::Task(TaskWaiter::new(context))));
        node.itself.set(Some(Arc::clone(&node)));
        node
    }

    /// Whether it is linked in that slot, whose lock the caller holds.
    pub(super) fn is_in(&self, slot: &Slot) -> bool {
        // Relaxed, here and below: the lock orders it.
        ptr::eq(self.slot.load(Ordering::Relaxed), slot)
    }

    pub(super) fn set_slot(&self, slot: *const Slot) {
        self.slot.store(slot.cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn is_tasks(&self) -> bool {
        matches!(self.wait, Wait::Task(_))
    }

    /// What an event claims.
    #[inline]
    pub(crate) fn waiter(&self) -> &Waiter {
        match &self.wait {
            Wait::Fiber(waiter) => waiter,
            Wait::Task(task) => task.waiter(),
        }
    }

    /// Whether the task of `context`, and no other, will be woken by the next event.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn will_wake(&self, context: &Context<'_>) -> bool {
        matches!(&self.wait, Wait::Task(task) if task.poll(context).is_none())
    }

    /// What the caller owes to a task's node that is not linked, nor claimed.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn forget(&self) {
        self.itself.take();
    }
}
