//! The ring: who waits for one direction of a descriptor.
//!
//! Nodes are linked both ways and closed to a ring, so that one of many leaves as fast as one of two, and the last is found
//! from the first. Those in line stand behind all others, who has waited longest first. Everything here happens under the
//! lock of the slot, except for the wake-ups.

#![expect(unsafe_code, reason = "an intrusive list of nodes that their owners keep alive")]

use std::ptr;

use super::node::Node;
use crate::cell::{Outcome, Woken};

/// Those who wait for one direction.
pub(super) struct Ring {
    /// Null when nobody waits.
    first: *const Node,
}

// SAFETY: nodes are only reached under the lock, and their owners unlink them there before they go.
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

    /// Takes out a node that is in this list.
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

    /// Claims those who wait; of those in line all, or the first. Puts them before `claimed`, a chain.
    pub(super) fn claim(&mut self, all: bool, mut claimed: *const Node) -> *const Node {
        // SAFETY: as in `link`.
        while let Some(first) = unsafe { self.first.as_ref() } {
            self.unlink(first);
            // One that has given up is on its way to unlink itself, and wakes nobody.
            let Some(woken) = first.waiter().claim(Outcome::Notified) else { continue };
            first.woken.set(Some(woken));
            first.next.set(claimed);
            claimed = first;
            if first.is_in_line && !all {
                break;
            }
        }
        claimed
    }
}

/// Wakes those who are claimed.
#[inline]
pub(super) fn wake_chain(mut node: *const Node, wake: &mut impl FnMut(Woken)) {
    while !node.is_null() {
        // SAFETY: it is claimed and not woken yet, so its fiber cannot run, and its stack stays; a task's node has
        // kept itself.
        let this = unsafe { &*node };
        node = this.next.get();
        // A task's stays because of this.
        let _itself = this.itself.take();
        wake(this.woken.take().expect("a claim left its wake-up here"));
    }
}
