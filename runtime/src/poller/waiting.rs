//! The nodes that wait for one direction of a descriptor.
//!
//! Nodes in line are behind all others, with the one that has waited longest first. Everything here happens under the lock of
//! the slot, except for the wake-ups.
//!
//! A linked node is alive: its owner unlinks it under the lock, or sees it claimed, before it frees it.

#![expect(unsafe_code, reason = "an intrusive list of nodes that their owners keep alive")]

use std::ptr::{self, NonNull};

use super::node::Node;
use crate::cell::{Outcome, Wakeup, cold};
use crate::queue::{Linked, Ring};

/// See the module's documentation.
pub(super) struct Waiting(Ring<Node>);

// SAFETY: the ring and the links of its nodes are only used under the lock.
unsafe impl Send for Waiting {}

impl Waiting {
    #[cfg(any(test, loom))]
    pub(super) const fn new() -> Self {
        Self(Ring::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn link(&mut self, node: &Node) {
        let this = NonNull::from(node);
        // SAFETY: the node is in no ring, and alive and in its place until it is unlinked; see the module's documentation.
        unsafe { if node.is_in_line { self.0.push_back(this) } else { self.0.push_front(this) } };
    }

    /// Unlinks a node that is linked here.
    pub(super) fn unlink(&mut self, node: &Node) {
        // SAFETY: the node is in this ring.
        unsafe { self.0.unlink(NonNull::from(node)) };
        node.set_slot(ptr::null());
    }

    /// Claims the node of a fiber that waits here alone, and returns its wake-up, if it was not claimed before. `Err` if there are more
    /// nodes, or a future's, which must be kept alive until its wake-up is delivered.
    #[inline(always)]
    pub(super) fn claim_only(&mut self) -> Result<Option<Wakeup>, ()> {
        let Some(first) = cold::warmed(self.0.first()) else { return Ok(None) };
        // SAFETY: the node is linked, so it is alive.
        let node = unsafe { first.as_ref() };
        if node.is_of_future() || !self.0.take_only(first) {
            return Err(());
        }
        node.set_slot(ptr::null());
        Ok(node.waiter().claim(Outcome::Notified))
    }

    /// Claims all nodes that do not wait in line, and of those in line the first, or `all`. Returns the chain `claimed` with the
    /// claimed nodes in front.
    pub(super) fn claim(&mut self, all: bool, mut claimed: *const Node) -> *const Node {
        while let Some(first) = cold::warmed(self.0.first()) {
            self.0.pop_front();
            // SAFETY: the node was linked. Until the lock is released it is alive: its owner must look under the lock whether it
            // is still linked, unless it is claimed.
            let first = unsafe { first.as_ref() };
            first.set_slot(ptr::null());
            // If the claim fails, the node's owner has given up and is about to unlink it.
            let Some(wakeup) = first.waiter().claim(Outcome::Notified) else { continue };
            first.wakeup.set(Some(wakeup));
            first.links().set_next(claimed);
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
        node = this.links().next();
        // This keeps a task's node alive until the end of the loop's body.
        let _keep_alive = this.take_keep_alive();
        wake(this.wakeup.take().expect("a claim left its wake-up here"));
    }
}
