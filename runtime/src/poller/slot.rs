//! A slot: what has been reported of one registered descriptor, and who waits for more.
//!
//! `README.md` tells the protocol between an operation and an event.

#![cfg_attr(not(loom), expect(unsafe_code, reason = "slots are made of zeroed memory"))]

use std::ptr;

use super::node::Node;
use super::ring::{Ring, wake_chain};
use crate::atomic::{AtomicU32, Ordering};
use crate::cell::Woken;
use crate::queue::SpinLock;

/// A direction of a descriptor. Each has a word and a list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Way {
    Read,
    Write,
}

impl Way {
    const BOTH: [Self; 2] = [Self::Read, Self::Write];
}

/// What an event says of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Nothing.
    None,
    /// It may be ready.
    Ready,
    /// It may be ready, and from now on a short operation means nothing.
    WithoutHints,
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
pub(super) struct Slot {
    /// How many descriptors have had this slot before; see `registry.rs`.
    pub(super) generation: AtomicU32,
    /// For each direction the tick and the two bits. Written under the lock.
    words: [AtomicU32; 2],
    /// For each direction those who wait. Nodes are linked and unlinked under this lock.
    waiting: SpinLock<[Ring; 2]>,
}

/// What a direction looked like before a system call that acts on it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    way: Way,
    /// `None`: the descriptor was not registered.
    slot: Option<&'a Slot>,
    word: u32,
}

impl<'a> Seen<'a> {
    /// Nothing is known of a descriptor that is not registered.
    pub(super) fn unregistered(way: Way) -> Self {
        Self { way, slot: None, word: 0 }
    }

    /// Whether the system call need not be made, since it would say EAGAIN.
    #[inline]
    pub(crate) fn is_drained(self) -> bool {
        self.word & DRAINED != 0
    }

    /// How many events there had been, of a registration that is not replaced.
    pub(crate) fn events(self) -> u32 {
        self.word / TICK
    }

    /// Notes that the system call moved less than it was asked to, unless an event has come since.
    #[inline]
    pub(crate) fn mark_drained(self) {
        let Some(slot) = self.slot else { return };
        if self.word & (WITHOUT_HINTS | DRAINED) == 0 {
            let word = &slot.words[self.way as usize];
            let _lists = slot.waiting.lock();
            if word.load(Ordering::Relaxed) == self.word {
                // Relaxed: it publishes nothing.
                word.store(self.word | DRAINED, Ordering::Relaxed);
            }
        }
    }

    /// The tick that it saw of `slot`: 0, with which every registration starts, if it saw another one or none.
    fn tick_of(self, slot: &Slot) -> u32 {
        if self.slot.is_some_and(|seen| ptr::eq(seen, slot)) { self.word / TICK } else { 0 }
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

/// Where a node is linked.
pub(crate) struct Place<'a> {
    pub(super) slot: &'a Slot,
    pub(super) way: Way,
}

impl Slot {
    /// Slots, none of which has been registered.
    #[cfg(not(loom))]
    pub(super) fn many(count: usize) -> Box<[Self]> {
        let zeroed = Box::new_zeroed_slice(count);
        // SAFETY: all-zero is a slot: atomics of 0, a lock that is free around two null pointers. So memory of slots
        // that are never used is never touched.
        unsafe { zeroed.assume_init() }
    }

    /// Slots, none of which has been registered.
    #[cfg(loom)]
    pub(super) fn many(count: usize) -> Box<[Self]> {
        (0..count).map(|_| Self::new()).collect()
    }

    #[cfg(any(test, loom))]
    pub(super) fn new() -> Self {
        Self {
            generation: AtomicU32::new(0),
            words: [AtomicU32::new(0), AtomicU32::new(0)],
            waiting: SpinLock::new([Ring::new(), Ring::new()]),
        }
    }

    /// Forgets everything, for the next descriptor. Nobody waits, since nobody has the old one.
    pub(super) fn reset(&self) {
        let lists = self.waiting.lock();
        debug_assert!(lists.iter().all(Ring::is_empty), "a descriptor is dropped while somebody waits on it");
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// To be called before the system call that acts on what is seen.
    #[inline]
    pub(super) fn seen(&self, way: Way) -> Seen<'_> {
        // Acquire: pairs with the Release in `advance`; the system call must not move above it.
        Seen { way, slot: Some(self), word: self.words[way as usize].load(Ordering::Acquire) }
    }

    /// The kernel has reported an edge of each direction, or of one: claims and wakes those who wait for it. Of those in line
    /// one is enough for what is ready, but the end or an error is everybody's.
    #[inline]
    pub(super) fn event(&self, edges: [Edge; 2], wake: &mut impl FnMut(Woken)) {
        wake_chain(self.advance(edges), wake);
    }

    /// Counts the event and claims who is to be woken; returns the chain of them. They are woken after the lock is free, since
    /// a wake-up may take a system call.
    fn advance(&self, edges: [Edge; 2]) -> *const Node {
        let mut lists = self.waiting.lock();
        let mut claimed: *const Node = ptr::null();
        for way in Way::BOTH {
            let bits = match edges[way as usize] {
                Edge::None => continue,
                Edge::Ready => 0,
                Edge::WithoutHints => WITHOUT_HINTS,
            };
            let word = &self.words[way as usize];
            let old = word.load(Ordering::Relaxed) & !DRAINED;
            // Release: pairs with the Acquire in `seen`.
            word.store(old.wrapping_add(TICK) | bits, Ordering::Release);
            claimed = lists[way as usize].claim(bits == WITHOUT_HINTS, claimed);
        }
        claimed
    }

    /// Links a node, unless an event has come since `seen`, or the poller has been shut down.
    pub(super) fn link(&self, node: &Node, seen: Seen<'_>, is_shut_down: impl FnOnce() -> bool) -> Attempt {
        debug_assert!(
            node.waiter().fiber().is_some() || node.is_tasks() || cfg!(test),
            "threads wait in poll(2)"
        );
        let mut lists = self.waiting.lock();
        // Whoever shuts the poller down goes through all locks after it has said so.
        if is_shut_down() {
            return Attempt::Closed;
        }
        let way = seen.way as usize;
        if self.words[way].load(Ordering::Relaxed) / TICK != seen.tick_of(self) {
            return Attempt::Ready;
        }
        node.set_slot(self);
        lists[way].link(node);
        Attempt::Linked
    }

    /// Whether the node was linked here. It no longer is.
    #[cold]
    pub(super) fn unlink(&self, way: Way, node: &Node) -> bool {
        let mut lists = self.waiting.lock();
        let is_linked = node.is_in(self);
        if is_linked {
            lists[way as usize].unlink(node);
        }
        is_linked
    }
}

impl Place<'_> {
    /// Unlinks a node whose wait has ended without an event. On return nobody knows it any more.
    #[cold]
    pub(crate) fn unlink(&self, node: &Node) {
        self.slot.unlink(self.way, node);
    }

    /// One that stood in line, and was woken, has found something: there may be more, of which no event will tell. Wakes the
    /// next one in line.
    pub(crate) fn pass_on(&self, mut wake: impl FnMut(Woken)) {
        let claimed = self.slot.waiting.lock()[self.way as usize].claim(false, ptr::null());
        wake_chain(claimed, &mut wake);
    }
}

const _: () = assert!(cfg!(loom) || size_of::<Slot>() <= 40, "each registered descriptor has one");

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::cell::{Outcome, Waiter, wake_task};

    const READABLE: [Edge; 2] = [Edge::Ready, Edge::None];

    fn woken_by(slot: &Slot, edges: [Edge; 2]) -> usize {
        let mut count = 0;
        slot.event(edges, &mut |_| count += 1);
        count
    }

    #[test]
    fn an_event_wakes_those_who_wait_for_its_direction() {
        let slot = &Slot::many(1)[0];
        let nodes = [(); 3].map(|()| Node::new(Waiter::new(None)));
        for (node, way) in nodes.iter().zip([Way::Read, Way::Write, Way::Read]) {
            assert_eq!(slot.link(node, slot.seen(way), || false), Attempt::Linked);
        }
        assert_eq!(woken_by(slot, READABLE), 2);
        assert_eq!(nodes.each_ref().map(|node| node.waiter().outcome().is_some()), [true, false, true]);
        assert_eq!(woken_by(slot, [Edge::Ready; 2]), 1);
        assert_eq!(woken_by(slot, [Edge::Ready; 2]), 0);
    }

    #[test]
    fn an_event_since_the_look_prevents_the_wait() {
        let slot = Slot::new();
        let node = Node::new(Waiter::new(None));
        let seen = slot.seen(Way::Read);
        assert_eq!(woken_by(&slot, READABLE), 0);
        assert_eq!(slot.link(&node, seen, || false), Attempt::Ready);
        // A look at another registration, or at none, saw no event of this one.
        assert_eq!(slot.link(&node, Seen::unregistered(Way::Read), || false), Attempt::Ready);
        assert_eq!(slot.link(&node, slot.seen(Way::Read), || true), Attempt::Closed);
        assert_eq!(slot.link(&node, slot.seen(Way::Read), || false), Attempt::Linked);
        Place { slot: &slot, way: Way::Read }.unlink(&node);
        assert_eq!(woken_by(&slot, READABLE), 0);
    }

    #[test]
    fn a_short_operation_is_remembered_until_the_next_event() {
        let slot = Slot::new();
        let seen = slot.seen(Way::Read);
        seen.mark_drained();
        assert!(slot.seen(Way::Read).is_drained());
        assert!(!slot.seen(Way::Write).is_drained());
        woken_by(&slot, READABLE);
        assert!(!slot.seen(Way::Read).is_drained());
        // An event has come since this look.
        seen.mark_drained();
        assert!(!slot.seen(Way::Read).is_drained());
        woken_by(&slot, [Edge::WithoutHints, Edge::None]);
        slot.seen(Way::Read).mark_drained();
        assert!(!slot.seen(Way::Read).is_drained(), "after the end a short read means nothing");
    }

    #[test]
    fn a_node_of_a_task_lives_until_its_wake_up_is_delivered() {
        let slot = Slot::new();
        let node = Node::for_task(&Context::from_waker(Waker::noop()));
        let weak = Arc::downgrade(&node);
        assert_eq!(slot.link(&node, slot.seen(Way::Read), || false), Attempt::Linked);
        let mut owner = Some(node);
        slot.event(READABLE, &mut |woken| {
            // The task runs at once, and no longer wants it.
            assert!(!slot.unlink(Way::Read, owner.as_deref().expect("one event")));
            owner = None;
            assert_eq!(weak.strong_count(), 1);
            let Woken::Task(task) = woken else { panic!("a task waits") };
            wake_task(task);
        });
        assert_eq!(weak.strong_count(), 0);

        let node = Node::for_task(&Context::from_waker(Waker::noop()));
        assert_eq!(slot.link(&node, slot.seen(Way::Read), || false), Attempt::Linked);
        assert!(slot.unlink(Way::Read, &node));
        node.forget();
        assert_eq!((Arc::strong_count(&node), woken_by(&slot, READABLE)), (1, 0));
    }

    #[test]
    fn those_in_the_middle_and_at_the_ends_can_leave() {
        for leaver in 0..3 {
            let slot = Slot::new();
            let nodes = [(); 3].map(|()| Node::new(Waiter::new(None)));
            for node in &nodes {
                assert_eq!(slot.link(node, slot.seen(Way::Write), || false), Attempt::Linked);
            }
            Place { slot: &slot, way: Way::Write }.unlink(&nodes[leaver]);
            assert_eq!(woken_by(&slot, [Edge::None, Edge::Ready]), 2);
            assert_eq!(nodes[leaver].waiter().outcome(), None);
        }
    }

    #[test]
    fn of_those_in_line_an_event_wakes_the_first_and_the_end_wakes_all() {
        let slot = Slot::new();
        let line = [(); 4].map(|()| Node::in_line(Waiter::new(None)));
        let other = Node::new(Waiter::new(None));
        for node in line.iter().chain([&other]) {
            assert_eq!(slot.link(node, slot.seen(Way::Read), || false), Attempt::Linked);
        }
        let awake =
            || line.iter().map(|node| usize::from(node.waiter().outcome().is_some())).collect::<Vec<_>>();
        assert_eq!(woken_by(&slot, READABLE), 2);
        assert_eq!((awake(), other.waiter().outcome().is_some()), (vec![1, 0, 0, 0], true));
        // One that gives up is passed over.
        assert!(line[1].waiter().claim(Outcome::TimedOut).is_some());
        let mut passed = 0;
        Place { slot: &slot, way: Way::Read }.pass_on(|_| passed += 1);
        assert_eq!((passed, awake()), (1, vec![1, 1, 1, 0]));
        assert!(!slot.unlink(Way::Read, &line[1]), "it is out already");
        assert_eq!(woken_by(&slot, [Edge::WithoutHints, Edge::None]), 1);
    }
}
