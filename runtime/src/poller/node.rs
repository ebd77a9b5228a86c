//! A node: one wait for a descriptor, in a slot's list.
//!
//! A fiber's node is on its stack. An async task may run, and drop its wait, between the claim and the wake-up, so its node is
//! on the heap and keeps itself alive.

#![expect(unsafe_code, reason = "nodes are shared between threads")]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::Context;

use super::slot::Slot;
use crate::atomic::{AtomicPtr, Ordering};
use crate::cell::{FutureWaiter, Waiter, Wakeup};
use crate::queue::{Linked, Links};

/// See the module's documentation.
pub(crate) struct Node {
    /// The waiter, which an event claims. It lives as long as the node: beside it on a fiber's stack, or in the task's.
    waiter: NonNull<Waiter>,
    /// Whether the waiter is a task's, which the node owns; see [`TaskNode`].
    is_of_future: bool,
    /// Whether the node waits in line: of all such nodes an event wakes only one.
    pub(super) is_in_line: bool,
    /// The slot that the node is linked in; null if it is in none. Written under that slot's lock, so a thread that holds a
    /// slot's lock knows whether the node is in that slot.
    slot: AtomicPtr<Slot>,
    /// Of the list, and from the claim to the wake-up of the chain of claimed nodes.
    links: Links<Node>,
    /// The wake-up, between the claim and the delivery, of a node that was not alone.
    pub(super) wakeup: Cell<Option<Wakeup>>,
    /// The reference that keeps a task's node alive while it is linked, and until its wake-up is delivered: unlike a fiber, the task may
    /// run and drop the node in between. Null if there is none.
    keep_alive: Cell<*const TaskNode>,
}

/// A node of an async task.
pub(crate) struct TaskNode {
    task: FutureWaiter,
    node: Node,
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
    /// A node of a fiber, in line or not. Of those in line an event wakes only the one that has waited longest, and its fiber must wake
    /// the next, by [`Entry::wake_next_in_line`](super::slot::Entry::wake_next_in_line). If several nodes have the same waiter, the
    /// first event that claims it ends the wait.
    ///
    /// # Safety
    ///
    /// The waiter outlives the node, and stays where it is.
    #[inline(always)]
    pub(crate) unsafe fn of(waiter: &Waiter, is_in_line: bool) -> Self {
        Self::made(waiter, is_in_line, false)
    }

    #[inline(always)]
    fn made(waiter: &Waiter, is_in_line: bool, is_of_future: bool) -> Self {
        Self {
            waiter: NonNull::from(waiter),
            is_of_future,
            is_in_line,
            slot: AtomicPtr::new(ptr::null_mut()),
            links: Links::new(),
            wakeup: Cell::new(None),
            keep_alive: Cell::new(ptr::null()),
        }
    }

    /// Whether the node is linked in `slot`, whose lock the caller holds.
    pub(super) fn is_in(&self, slot: &Slot) -> bool {
        // Relaxed, here and below: the lock orders it.
        ptr::eq(self.slot.load(Ordering::Relaxed), slot)
    }

    pub(super) fn set_slot(&self, slot: *const Slot) {
        self.slot.store(slot.cast_mut(), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn is_of_future(&self) -> bool {
        self.is_of_future
    }

    /// The waiter, which an event claims.
    #[inline(always)]
    pub(crate) fn waiter(&self) -> &Waiter {
        // SAFETY: the promise of `of`; a task's node has the waiter of its task.
        unsafe { self.waiter.as_ref() }
    }

    /// Takes the reference that keeps a task's node alive.
    #[inline]
    pub(super) fn take_keep_alive(&self) -> Option<Arc<TaskNode>> {
        let kept = self.keep_alive.replace(ptr::null());
        // SAFETY: made from a reference in `for_future`, which is taken once.
        (!kept.is_null()).then(|| unsafe { Arc::from_raw(kept) })
    }

    /// Lets a task's node be freed that is neither linked nor claimed.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn release(&self) {
        drop(self.take_keep_alive());
    }
}

#[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
impl TaskNode {
    /// A node for an async task. It keeps itself alive until an event, or until it is [`release`](Node::release)d.
    pub(crate) fn for_future(context: &Context<'_>) -> Arc<Self> {
        let task = FutureWaiter::new(context);
        // The task's waiter is on the heap, and lives as long as this reference to it.
        let node = Node::made(task.waiter(), false, true);
        let this = Arc::new(Self { task, node });
        this.node.keep_alive.set(Arc::into_raw(Arc::clone(&this)));
        this
    }

    /// Makes a node whose event has come one that waits anew, as [`for_future`](Self::for_future) makes them. Returns false, and changes
    /// nothing, if somebody else still refers to it: its wake-up may be under way.
    pub(crate) fn renew(this: &mut Arc<Self>, context: &Context<'_>) -> bool {
        let Some(alone) = Arc::get_mut(this) else { return false };
        if !alone.task.renew(context) {
            return false;
        }
        alone.node = Node::made(alone.task.waiter(), false, true);
        this.node.keep_alive.set(Arc::into_raw(Arc::clone(this)));
        true
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Whether the next event will wake the task of `context`. False if the node was claimed.
    pub(crate) fn will_wake(&self, context: &Context<'_>) -> bool {
        self.task.poll(context).is_none()
    }
}

/// A node that owns its waiter.
#[cfg(test)]
pub(super) struct OwnNode {
    node: Node,
    _waiter: Box<Waiter>,
}

#[cfg(test)]
impl OwnNode {
    pub(super) fn new(is_in_line: bool) -> Self {
        let waiter = Box::new(Waiter::new(None));
        // SAFETY: the waiter is on the heap, and dropped after the node.
        Self { node: unsafe { Node::of(&waiter, is_in_line) }, _waiter: waiter }
    }
}

#[cfg(test)]
impl std::ops::Deref for OwnNode {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}
