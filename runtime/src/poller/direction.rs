//! One direction of a registered descriptor: what has been reported of it, and who waits for more.
//!
//! `README.md` tells the protocol between an operation and an event.

#![expect(unsafe_code, reason = "an intrusive list of nodes on the stacks of those who wait")]

use std::cell::Cell;
use std::ptr;

use crate::atomic::{AtomicU32, Ordering};
use crate::fiber::{Outcome, Waiter, Woken};
use crate::queue::SpinLock;

/// Which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// Set by an operation that moved less than it wanted, which means that the next one would be told to wait.
/// Excludes [`WITHOUT_HINTS`]. Cleared by the next event.
const DRAINED: u32 = 1;

/// Set by an event after which an operation may be short and yet there is more to come without an edge: the end of
/// the stream, an error, urgent data. Stays until the descriptor is closed.
const WITHOUT_HINTS: u32 = 2;

/// The rest of the word is the tick: how many events there were. It would have to wrap, 2^30 events, between an
/// operation's look and its wait to be mistaken.
const TICK: u32 = 4;

/// See the module's documentation.
pub(crate) struct Direction {
    /// The tick and the two bits. Events change it under the lock, `DRAINED` is set without.
    word: AtomicU32,
    /// Nodes are linked and unlinked under this lock.
    waiting: SpinLock<List>,
}

/// Those who wait, the most recent first.
struct List {
    first: *const Node,
}

// SAFETY: nodes are only reached under the lock, and their owners unlink them there before they go.
unsafe impl Send for List {}

/// One fiber's wait, on its stack.
pub(crate) struct Node {
    pub(crate) waiter: Waiter,
    next: Cell<*const Node>,
    /// The wake-up that its claim owes, between the claim and the delivery.
    woken: Cell<Option<Woken>>,
}

impl Node {
    pub(crate) fn new(waiter: Waiter) -> Self {
        Self { waiter, next: Cell::new(ptr::null()), woken: Cell::new(None) }
    }
}

/// What a direction looked like before a system call that acts on it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// `None`: the descriptor was not registered.
    direction: Option<&'a Direction>,
    word: u32,
}

impl<'a> Seen<'a> {
    /// Nothing is known of a descriptor that is not registered.
    pub(super) const UNREGISTERED: Self = Self { direction: None, word: 0 };

    /// Whether the system call need not be made, since it would say EAGAIN.
    #[inline]
    pub(crate) fn is_drained(self) -> bool {
        self.word & DRAINED != 0
    }

    /// Notes that the system call moved less than it was asked to, unless an event has come since.
    #[inline]
    pub(crate) fn mark_drained(self) {
        let Some(direction) = self.direction else { return };
        if self.word & (WITHOUT_HINTS | DRAINED) == 0 {
            // Relaxed: the word publishes nothing. A failure means that an event came, or that somebody was faster.
            let (seen, drained) = (self.word, self.word | DRAINED);
            let _ = direction.word.compare_exchange(seen, drained, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The tick that it saw of `direction`: 0, which every registration starts with, if it saw another one or none.
    fn tick_of(self, direction: &'a Direction) -> u32 {
        let is_same = self.direction.is_some_and(|seen| ptr::eq(seen, direction));
        if is_same { self.word / TICK } else { 0 }
    }
}

/// What became of an attempt to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The node is linked: park.
    Linked,
    /// An event has come since: make the system call again.
    Ready,
    /// The poller has been shut down: register with another one.
    Closed,
}

impl Direction {
    pub(super) fn new() -> Self {
        Self { word: AtomicU32::new(0), waiting: SpinLock::new(List { first: ptr::null() }) }
    }

    /// Forgets everything, for the next descriptor. Nobody waits, since nobody has the old one.
    pub(super) fn reset(&self) {
        let list = self.waiting.lock();
        debug_assert!(list.first.is_null(), "a descriptor is dropped while somebody waits on it");
        self.word.store(0, Ordering::Relaxed);
    }

    /// To be called before the system call that acts on what is seen.
    #[inline]
    pub(super) fn seen(&self) -> Seen<'_> {
        // Acquire: pairs with the Release in `advance`; the system call must not move above it.
        Seen { direction: Some(self), word: self.word.load(Ordering::Acquire) }
    }

    /// The kernel has reported an edge: claims and wakes all who wait, oldest first.
    pub(super) fn event(&self, without_hints: bool, wake: &mut impl FnMut(Woken)) {
        let mut node = self.advance(without_hints);
        while !node.is_null() {
            // SAFETY: it is claimed and not woken yet, so its fiber cannot run, and its stack stays.
            let this = unsafe { &*node };
            node = this.next.get();
            wake(this.woken.take().expect("a claim left its wake-up here"));
        }
    }

    /// Counts the event and claims all who wait; returns the chain of them. They are woken after the lock is free,
    /// since a wake-up may take a system call.
    fn advance(&self, without_hints: bool) -> *const Node {
        let mut list = self.waiting.lock();
        let word = self.word.load(Ordering::Relaxed) & !DRAINED;
        let bits = if without_hints { WITHOUT_HINTS } else { 0 };
        // A `DRAINED` that is set between the load and the store is lost, as it would be right after. Release: pairs
        // with the Acquire in `seen`.
        self.word.store(word.wrapping_add(TICK) | bits, Ordering::Release);
        let mut node = std::mem::replace(&mut list.first, ptr::null());
        let mut claimed: *const Node = ptr::null();
        while !node.is_null() {
            // SAFETY: a linked node is alive while the lock is held, for its owner unlinks it before it goes.
            let this = unsafe { &*node };
            node = this.next.get();
            if let Some(woken) = this.waiter.claim(Outcome::Notified) {
                this.woken.set(Some(woken));
                this.next.set(claimed);
                claimed = this;
            }
        }
        claimed
    }

    /// Links a node, unless an event has come since `seen`, or the poller has been shut down.
    pub(super) fn link(&self, node: &Node, seen: Seen<'_>, is_shut_down: impl FnOnce() -> bool) -> Attempt {
        debug_assert!(node.waiter.fiber().is_some() || cfg!(test), "threads wait in poll(2)");
        let mut list = self.waiting.lock();
        // Whoever shuts the poller down goes through all locks after it has said so.
        if is_shut_down() {
            return Attempt::Closed;
        }
        if self.word.load(Ordering::Relaxed) / TICK != seen.tick_of(self) {
            return Attempt::Ready;
        }
        node.next.set(list.first);
        list.first = node;
        Attempt::Linked
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
