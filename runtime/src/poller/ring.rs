//! The ring of nodes that wait for one direction of a descriptor.
//!
//! Nodes are linked both ways and closed to a ring, so that a node leaves in constant time, and the last node is found from the
//! first. Nodes in line are behind all others, with the one that has waited longest first. Everything here happens under the
//! lock of the slot, except for the wake-ups.

#![expect(unsafe_code, reason = "an intrusive list of nodes that their owners keep alive")]

use std::ptr;

use super::node::Node;
use crate::cell::{Outcome, Wakeup};

/// See the module's documentation.
pub(super) struct Ring {
    /// Null if the ring is empty.
    first: *const Node,
}

// SAFETY: nodes are only reached under the lock, and their owners unlink them there before they free them.
unsafe impl Send for Ring {}

impl Ring {
    #[cfg(any(test, loom))]
    pub(super) const fn new() -> Self {
        Self { first: ptr::null() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    pub(super) fn link(&mut self, node: &Node) {
        // SAFETY: linked nodes are alive under the lock that the caller holds, here and below.
        let Some(first) = (unsafe { self.first.as_ref() }) else {
            node.next.set(node);
            node.previous.set(node);
            self.first = node;
            return;
        };
        let last = first.previous.replace(node);
        node.next.set(first);
        node.previous.set(last);
        // SAFETY: as above.
        unsafe { &*last }.next.set(node);
        if !node.is_in_line {
            self.first = node;
        }
    }

    /// Unlinks a node that is in this ring.
    pub(super) fn unlink(&mut self, node: &Node) {
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: as in `link`.
        unsafe { &*previous }.next.set(next);
        // SAFETY: as in `link`.
        unsafe { &*next }.previous.set(previous);
        if ptr::eq(next, node) {
            self.first = ptr::null();
        } else if ptr::eq(self.first, node) {
            self.first = next;
        }
        node.set_slot(ptr::null());
    }

    /// Claims all nodes that do not wait in line, and of those in line the first, or `all`. Returns the chain `claimed` with the
    /// claimed nodes in front.
    pub(super) fn claim(&mut self, all: bool, mut claimed: *const Node) -> *const Node {
        // SAFETY: as in `link`.
        while let Some(first) = unsafe { self.first.as_ref() } {
            self.unlink(first);
            // If the claim fails, the node's owner has given up and is about to unlink it.
            let Some(wakeup) = first.waiter().claim(Outcome::Notified) else { continue };
            first.wakeup.set(Some(wakeup));
            first.next.set(claimed);
            claimed = first;
            if first.is_in_line && !all {
                break;
            }
        }
        claimed
    }
}

/// Delivers the wake-ups of a chain of claimed nodes.
#[inline]
pub(super) fn wake_chain(mut node: *const Node, wake: &mut impl FnMut(Wakeup)) {
    while !node.is_null() {
        // SAFETY: the node is claimed and not woken yet, so its fiber cannot run, and its stack stays; a task's node keeps
        // itself alive.
        let this = unsafe { &*node };
        node = this.next.get();
        // This keeps a task's node alive until the end of the loop's body.
        let _keep_alive = this.keep_alive.take();
        wake(this.wakeup.take().expect("a claim left its wake-up here"));
    }
}
