//! The wait list: the waiters for a lock, a condition or a message, in order.
//!
//! It is an intrusive, doubly linked list whose nodes live on the stacks of the waiting fibers and threads, so that blocking allocates
//! nothing. A list is two words and lives inside the value of a [`SpinLock`], which guards the links and the payloads of all its nodes.
//!
//! Each node was last written by the core on which its owner waits, so each node that is touched is a cache miss, with the lock held.
//! Joining touches only the last node, and popping only the popped one: the links beyond the ends of the list are never read, and so
//! never kept up to date. A [`Ring`](crate::queue::Ring) keeps them, for one more miss in each of the two at least.
//!
//! A **payload** travels with each node: the value that the waiter offers or receives (a channel's message, a mutex's hand-off). The
//! waker exchanges it before the claim, so the waiter finds it without taking the lock again.
//!
//! Invariants, which make the interface safe:
//!
//! 1. A linked node is alive: [`wait`] does not return (or unwind) before it is unlinked. Who [joins](WaitList::join) promises the same.
//! 2. A node is unlinked **before** it is claimed. After a successful claim its owner may return at any moment (a plain thread does not
//!    need the lock for that), and the node is not touched again.
//! 3. A claim that fails was lost to a deadline or a cancellation. The owner must still take the lock to remove the node: under the
//!    lock the node stays alive, and its payload can be put back.
//!
//! A node refers to its [`Waiter`] instead of containing it: a `select` over several channels links one node in each channel, all with
//! the same waiter, and the exactly-once claim decides which channel got through.

#![expect(unsafe_code, reason = "intrusive links between the stacks of waiters")]

#[cfg(all(test, not(loom)))]
mod tests;

use std::ptr::{self, NonNull};
use std::time::Instant;

use crate::atomic::UnsafeCell;
use crate::cell::{Awaited, Outcome, Reason, cold};
use crate::park::primitive::{self as park, Biasing, SpinGuard, SpinLock, Waiter, Wakeup};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct WaitList<P> {
    /// The first node. Its `previous` is not valid.
    front: Option<NonNull<Node<P>>>,
    /// The last node, if there is a first. Its `next` is not valid.
    back: NonNull<Node<P>>,
}

// SAFETY: the list gives out payloads by value or by exclusive reference (hence `P: Send`); waiters are `Sync`,
// and the links are only touched with the lock around the list held.
unsafe impl<P: Send> Send for WaitList<P> {}

/// The end of the list at which a waiter joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Before all others: for a waiter that was first before.
    Front,
    /// After all others.
    Back,
}

/// A node of a list: one waiter with its payload.
pub(crate) struct Node<P> {
    /// The waiter; dangling if the node has never been in a list.
    waiter: UnsafeCell<NonNull<Waiter>>,
    links: UnsafeCell<Links<P>>,
    payload: UnsafeCell<P>,
}

struct Links<P> {
    /// The list that the node is in; null when it is in none.
    list: *const WaitList<P>,
    next: NonNull<Node<P>>,
    previous: NonNull<Node<P>>,
}

impl<P> Clone for Links<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Links<P> {}

impl<P> WaitList<P> {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self { front: None, back: NonNull::dangling() }
    }

    /// Whether the list is empty.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_none()
    }

    /// The number of linked nodes.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn len(&self) -> usize {
        let next = |node: &NonNull<Node<P>>| (*node != self.back).then(|| links(*node).next);
        std::iter::successors(self.front, next).count()
    }

    /// Ends the wait of the first waiter that still waits, and leaves its payload as it is.
    ///
    /// Waiters that have timed out or were cancelled are unlinked on the way.
    pub(crate) fn pop_front(&mut self) -> Option<Wakeup> {
        while let Some(node) = cold::warmed(self.front) {
            self.unlink(node);
            let waiter = waiter_of(node);
            // SAFETY: the node was linked, hence alive (invariant 1), and its waiter lives as long as it. Neither
            // is touched after the claim (invariant 2).
            if let Some(wakeup) = unsafe { waiter.as_ref() }.claim(Outcome::Notified) {
                return Some(wakeup);
            }
        }
        None
    }

    /// Ends the wait of the first waiter that still waits and whose payload `is_wanted` accepts. Its payload stays as it is.
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    pub(crate) fn pop_first(&mut self, is_wanted: impl Fn(&P) -> bool) -> Option<Wakeup> {
        let mut at = cold::warmed(self.front);
        while let Some(node) = at {
            at = (node != self.back).then(|| links(node).next);
            // SAFETY: as in `pop_front_exchanging`.
            let this = unsafe { node.as_ref() };
            // SAFETY: as above.
            if !this.payload.with(|payload| is_wanted(unsafe { &*payload })) {
                continue;
            }
            self.unlink(node);
            // SAFETY: as in `pop_front`.
            if let Some(wakeup) = unsafe { waiter_of(node).as_ref() }.claim(Outcome::Notified) {
                return Some(wakeup);
            }
        }
        None
    }

    /// Like [`pop_front`](Self::pop_front), but first exchanges the waiter's payload with `payload`. If no waiter could be
    /// claimed, `payload` is unchanged.
    #[inline]
    pub(crate) fn pop_front_exchanging(&mut self, payload: &mut P) -> Option<Wakeup> {
        while let Some(node) = cold::warmed(self.front) {
            self.unlink(node);
            let waiter = waiter_of(node);
            // SAFETY: as in `pop_front`; the lock around the list gives exclusive access to the payload, because
            // the owner reads it only after the claim, or after it has removed the node under that lock.
            let node = unsafe { node.as_ref() };
            // SAFETY: as above.
            node.payload.with_mut(|theirs| unsafe { ptr::swap(theirs, payload) });
            // SAFETY: the waiter lives as long as its node.
            if let Some(wakeup) = unsafe { waiter.as_ref() }.claim(Outcome::Notified) {
                return Some(wakeup);
            }
            // SAFETY: the claim was lost, so the owner must still take the lock that we hold (invariant 3).
            node.payload.with_mut(|theirs| unsafe { ptr::swap(theirs, payload) });
        }
        None
    }

    /// Ends the wait of the first waiter that still waits, if `is_ready` accepts its payload, and replaces the payload by `with`.
    /// Returns the old payload as well.
    pub(crate) fn pop_front_replacing(
        &mut self,
        is_ready: impl Fn(&P) -> bool,
        with: P,
    ) -> Option<(Wakeup, P)>
    where
        P: Copy,
    {
        while let Some(node) = cold::warmed(self.front) {
            let waiter = waiter_of(node);
            // SAFETY: as in `pop_front_exchanging`, here and below.
            let node_ref = unsafe { node.as_ref() };
            // SAFETY: as above.
            let payload = node_ref.payload.with(|payload| unsafe { *payload });
            if !is_ready(&payload) {
                return None;
            }
            self.unlink(node);
            // SAFETY: as above.
            node_ref.payload.with_mut(|theirs| unsafe { *theirs = with });
            // SAFETY: the waiter lives as long as its node.
            if let Some(wakeup) = unsafe { waiter.as_ref() }.claim(Outcome::Notified) {
                return Some((wakeup, payload));
            }
            // SAFETY: the claim was lost, so the owner must still take the lock that we hold (invariant 3).
            node_ref.payload.with_mut(|theirs| unsafe { *theirs = payload });
        }
        None
    }

    /// Links `node` for `waiter`, which may wait in several lists at once; see [`wait`] for the usual case.
    ///
    /// # Safety
    ///
    /// The node is in no list. Until it is unlinked (by [`leave`](Self::leave), or by being popped), the node and the waiter
    /// must stay alive and must not move.
    pub(crate) unsafe fn join(&mut self, node: &Node<P>, waiter: &Waiter, end: End) {
        self.link(NonNull::from(node), NonNull::from(waiter), end);
    }

    /// Unlinks `node` if it is linked. Afterwards nothing but its owner touches it.
    ///
    /// # Safety
    ///
    /// The node is in this list, or has been popped from it, or was never in any.
    pub(crate) unsafe fn leave(&mut self, node: &Node<P>) {
        self.unlink(NonNull::from(node));
    }

    fn link(&mut self, node: NonNull<Node<P>>, waiter: NonNull<Waiter>, end: End) {
        let mut new =
            Links { list: ptr::from_ref(self), next: NonNull::dangling(), previous: NonNull::dangling() };
        match (self.front, end) {
            (None, _) => (self.front, self.back) = (Some(node), node),
            (Some(_), End::Back) => {
                new.previous = self.back;
                set_links(self.back, Links { next: node, ..links(self.back) });
                self.back = node;
            }
            (Some(front), End::Front) => {
                new.next = front;
                set_links(front, Links { previous: node, ..links(front) });
                self.front = Some(node);
            }
        }
        set_links(node, new);
        // SAFETY: the caller links a node that is alive and in no list, under the lock.
        unsafe { node.as_ref().waiter.with_mut(|entry| *entry = waiter) };
    }

    /// Unlinks `node` if it is linked.
    #[inline]
    fn unlink(&mut self, node: NonNull<Node<P>>) {
        let gone = links(node);
        if gone.list.is_null() {
            return;
        }
        assert!(ptr::eq(gone.list, self), "a waiter is removed from the list that it joined");
        match (self.front == Some(node), self.back == node) {
            (true, true) => self.front = None,
            (true, false) => self.front = Some(gone.next),
            (false, true) => self.back = gone.previous,
            (false, false) => {
                set_links(gone.previous, Links { next: gone.next, ..links(gone.previous) });
                set_links(gone.next, Links { previous: gone.previous, ..links(gone.next) });
            }
        }
        set_links(node, Links { list: ptr::null(), ..gone });
    }
}

impl<P> Node<P> {
    /// A node that is in no list.
    pub(crate) fn new(payload: P) -> Self {
        let links = Links { list: ptr::null(), next: NonNull::dangling(), previous: NonNull::dangling() };
        Self {
            waiter: UnsafeCell::new(NonNull::dangling()),
            links: UnsafeCell::new(links),
            payload: UnsafeCell::new(payload),
        }
    }

    /// Replaces the node's payload, and returns the old one.
    ///
    /// # Safety
    ///
    /// The caller owns the node, which was never in a list, or has been taken out of it by
    /// [`leave`](WaitList::leave) since.
    pub(crate) unsafe fn replace(&self, payload: P) -> P {
        // SAFETY: only the owner reaches the payload of a node that is in no list, and the caller is the owner.
        self.payload.with_mut(|mine| std::mem::replace(unsafe { &mut *mine }, payload))
    }
}

/// The links of a node of the list whose lock the caller holds.
#[inline]
fn links<P>(node: NonNull<Node<P>>) -> Links<P> {
    // SAFETY: private to this file, whose callers hold the lock and pass nodes that are linked, or that their owner is linking
    // or removing: alive, and not touched by anything else.
    unsafe { node.as_ref().links.with(|links| *links) }
}

/// The waiter of a node that has been linked, as in [`links`].
#[inline]
fn waiter_of<P>(node: NonNull<Node<P>>) -> NonNull<Waiter> {
    // SAFETY: as in `links`.
    unsafe { node.as_ref().waiter.with(|waiter| *waiter) }
}

#[inline]
fn set_links<P>(node: NonNull<Node<P>>, new: Links<P>) {
    // SAFETY: as in `links`.
    unsafe { node.as_ref().links.with_mut(|links| *links = new) }
}

/// Joins the list at `end` with `payload`, releases the lock, calls `then`, and waits until the node is popped, until
/// `deadline`, or until the fiber is cancelled. Returns how the wait ended, and the payload as the waker left it
/// (unchanged, unless `Notified`). What is `awaited` without an object is the lock.
///
/// The caller has found under `guard` that it must wait. A waker that makes this untrue takes the same lock afterwards, so
/// no wake-up falls between the check and the joining. `list` must return the same list each time. On `Cancelled` the
/// caller must call `park::unwind` once it has undone the rest.
pub(crate) fn wait<S, P, B: Biasing>(
    guard: SpinGuard<'_, S, B>,
    list: fn(&mut S) -> &mut WaitList<P>,
    end: End,
    payload: P,
    awaited: impl Into<Awaited>,
    deadline: Option<Instant>,
    then: impl FnOnce(),
) -> (Outcome, P) {
    wait_by(guard, list, end, payload, awaited, deadline, then, park::wait_within)
}

/// [`wait`], in which the caller waits by `wait` instead of `park::wait_within`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "those of `wait`, and how")]
pub(crate) fn wait_by<S, P, B: Biasing>(
    mut guard: SpinGuard<'_, S, B>,
    list: fn(&mut S) -> &mut WaitList<P>,
    end: End,
    payload: P,
    awaited: impl Into<Awaited>,
    deadline: Option<Instant>,
    then: impl FnOnce(),
    wait: impl FnOnce(&Waiter, Reason, Option<Instant>) -> Outcome,
) -> (Outcome, P) {
    let Awaited { reason, mut object } = awaited.into();
    if object.is_null() {
        object = ptr::from_ref(SpinGuard::lock_of(&guard)).cast();
    }
    let entry = Entry { waiter: park::waiter().on(object), node: Node::new(payload) };
    let unlink_on_drop =
        UnlinkOnDrop { lock: SpinGuard::lock_of(&guard), list, node: NonNull::from(&entry.node) };
    list(&mut guard).link(unlink_on_drop.node, NonNull::from(&entry.waiter), end);
    drop(guard);
    then();
    let outcome = wait(&entry.waiter, reason, deadline);
    match outcome {
        // The waker has unlinked the node and does not touch it any more.
        Outcome::Notified => std::mem::forget(unlink_on_drop),
        _ => drop(unlink_on_drop),
    }
    (outcome, entry.node.payload.into_inner())
}

/// A waiter and its node in one cache line, unless the payload is large: the waker that pops them is mostly on another core.
#[repr(align(64))]
struct Entry<P> {
    waiter: Waiter,
    node: Node<P>,
}

/// Removes a node from its list if its owner leaves without having been notified, also by unwinding.
struct UnlinkOnDrop<'a, S, P, B: Biasing> {
    lock: &'a SpinLock<S, B>,
    list: fn(&mut S) -> &mut WaitList<P>,
    node: NonNull<Node<P>>,
}

impl<S, P, B: Biasing> Drop for UnlinkOnDrop<'_, S, P, B> {
    // Inlined, so that its fields need no place in the frame of each fiber that waits.
    #[inline(always)]
    fn drop(&mut self) {
        (self.list)(&mut self.lock.lock()).unlink(self.node);
    }
}

/// How many waiters are claimed each time that the lock is held.
const BATCH: usize = 16;

/// Ends the waits of the first `limit` waiters (`usize::MAX`: of all). The wake-ups are delivered after the lock has been
/// released, because a delivery can be a system call.
pub(crate) fn wake_up_to<S, P, B: Biasing>(
    lock: &SpinLock<S, B>,
    list: fn(&mut S) -> &mut WaitList<P>,
    limit: usize,
) {
    let mut left = limit;
    while left > 0 {
        let mut guard = lock.lock();
        if list(&mut guard).is_empty() {
            return;
        }
        let mut batch = [const { None }; BATCH];
        let mut claimed = 0;
        while claimed < BATCH.min(left) {
            let Some(wakeup) = list(&mut guard).pop_front() else { break };
            batch[claimed] = Some(wakeup);
            claimed += 1;
        }
        drop(guard);
        // In place: moving the whole batch would cost more than waking one waiter.
        batch[..claimed].iter_mut().filter_map(Option::take).for_each(park::wake);
        if claimed < BATCH {
            return;
        }
        left -= claimed;
    }
}
