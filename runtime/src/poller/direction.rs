//! One direction of a registered descriptor: whether it may be ready, and who waits for that.

#![expect(unsafe_code, reason = "an intrusive list of nodes on the stacks of those who wait")]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fiber::{Outcome, Waiter, Woken};
use crate::queue::SpinLock;

/// Which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// Why somebody wants to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The last operation was short, so the next one would be told to wait.
    Drained,
    /// The system call said EAGAIN.
    WouldBlock,
}

/// See the module's documentation.
pub(crate) struct Direction {
    /// Set by an event that nobody waited for, cleared by whoever acts on it, before the system call.
    ready: AtomicBool,
    /// The end has been reported: from here on every call returns at once, and there will be no more edges.
    ended: AtomicBool,
    /// The most recent waiter. Nodes are linked and unlinked under this lock.
    waiting: SpinLock<List>,
}

struct List {
    first: *const Node,
}

// SAFETY: nodes are only reached under the lock, and their owners unlink them there before they go.
unsafe impl Send for List {}

/// One fiber's wait, on its stack.
pub(crate) struct Node {
    pub(crate) waiter: Waiter,
    next: std::cell::Cell<*const Node>,
}

impl Node {
    pub(crate) fn new(waiter: Waiter) -> Self {
        Self { waiter, next: std::cell::Cell::new(ptr::null()) }
    }
}

impl Direction {
    pub(super) fn new() -> Self {
        Self {
            ready: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waiting: SpinLock::new(List { first: ptr::null() }),
        }
    }

    /// Forgets everything, for the next descriptor. Nobody waits, since nobody has the old one.
    pub(super) fn reset(&self) {
        self.ready.store(false, Ordering::Relaxed);
        self.ended.store(false, Ordering::Relaxed);
        debug_assert!(
            self.waiting.lock().first.is_null(),
            "a descriptor is dropped while somebody waits on it"
        );
    }

    /// The kernel has reported an edge: claims all who wait, or leaves a note for the next who would.
    pub(super) fn event(&self, ends: bool, wake: &mut impl FnMut(Woken)) {
        if ends {
            self.ended.store(true, Ordering::Release);
        }
        let mut list = self.waiting.lock();
        // Release: pairs with the swaps in `consume` and `enqueue`.
        self.ready.store(true, Ordering::Release);
        let mut node = std::mem::replace(&mut list.first, ptr::null());
        // Oldest first: the list is newest first.
        let mut oldest_first: *const Node = ptr::null();
        while !node.is_null() {
            // SAFETY: a linked node is alive, and the lock is held.
            let next = unsafe { &(*node).next }.replace(oldest_first);
            oldest_first = node;
            node = next;
        }
        while !oldest_first.is_null() {
            // SAFETY: not claimed yet, or its owner waits for the lock to unlink it: alive either way.
            let this = unsafe { &*oldest_first };
            oldest_first = this.next.replace(ptr::null());
            if let Some(woken) = this.waiter.claim(Outcome::Notified) {
                wake(woken);
            }
        }
    }

    /// Takes note of the readiness seen so far; to be called before the system call that acts on it. An edge that
    /// comes later sets it again.
    #[inline]
    pub(super) fn consume(&self) {
        if self.ready.load(Ordering::Relaxed) {
            // SeqCst: must not sink below the system call that follows.
            self.ready.swap(false, Ordering::SeqCst);
        }
    }

    /// Whether the end has been reported.
    #[inline]
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Links a node, unless there is readiness to act on: then it is consumed, and the answer is false. The end
    /// counts as readiness only for one who has not just been told to wait: an error that was reported may have
    /// been taken by somebody, and be followed by more.
    pub(super) fn enqueue(&self, node: &Node, cause: Cause) -> bool {
        let mut list = self.waiting.lock();
        let ended = cause == Cause::Drained && self.has_ended();
        if ended || self.ready.swap(false, Ordering::SeqCst) {
            return false;
        }
        node.next.set(list.first);
        list.first = node;
        true
    }

    /// Unlinks a node whose wait has ended without an event. On return nobody knows it any more.
    pub(crate) fn unlink(&self, node: &Node) {
        let mut list = self.waiting.lock();
        if ptr::eq(list.first, node) {
            list.first = node.next.get();
            return;
        }
        let mut at = list.first;
        while !at.is_null() {
            // SAFETY: linked nodes are alive under the lock.
            let current = unsafe { &*at };
            if ptr::eq(current.next.get(), node) {
                current.next.set(node.next.get());
                return;
            }
            at = current.next.get();
        }
    }
}
