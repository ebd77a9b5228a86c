//! A slot: the events that were reported for one registered descriptor, and the nodes that wait for more.
//!
//! `README.md` tells the protocol between an operation and an event.

#![cfg_attr(not(loom), expect(unsafe_code, reason = "slots are made of zeroed memory"))]

use std::ptr;

use super::node::Node;
use super::side::{Side, Snapshot};
use super::waiting::{Waiting, wake_chain};
use crate::atomic::{AtomicU32, Ordering};
use crate::cell::Wakeup;
use crate::queue::SpinLock;

/// A direction of a descriptor. Each direction has a word and a list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// The part of an event that is about one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The event is not about this direction.
    None,
    /// The direction may be ready.
    Ready,
    /// The direction may be ready, and from now on a short operation means nothing.
    HintsOff,
}

/// See the module's documentation.
pub(super) struct Slot {
    /// The number of descriptors that have had this slot before; see `registry.rs`.
    pub(super) generation: AtomicU32,
    sides: [Side; 2],
    /// The nodes that wait, for each direction. Nodes are linked and unlinked under this lock.
    waiting: SpinLock<[Waiting; 2]>,
}

/// The result of an attempt to link a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkResult {
    /// The node is linked: park.
    Linked,
    /// An event has come since: make the system call again.
    Ready,
    /// The poller has been shut down: register with another one.
    Closed,
}

/// The place where a node is linked.
pub(crate) struct Entry<'a> {
    pub(super) slot: &'a Slot,
    pub(super) direction: Direction,
}

impl Slot {
    /// Slots that have never been registered.
    #[cfg(not(loom))]
    pub(super) fn many(count: usize) -> Box<[Self]> {
        let zeroed = Box::new_zeroed_slice(count);
        // Memory of slots that are never used is thus never touched.
        // SAFETY: all-zero bytes are a valid slot: atomics of 0, and a free lock around two empty rings.
        unsafe { zeroed.assume_init() }
    }

    /// Slots that have never been registered.
    #[cfg(loom)]
    pub(super) fn many(count: usize) -> Box<[Self]> {
        (0..count).map(|_| Self::new()).collect()
    }

    #[cfg(any(test, loom))]
    pub(super) fn new() -> Self {
        Self {
            generation: AtomicU32::new(0),
            sides: [Side::new(), Side::new()],
            waiting: SpinLock::new([Waiting::new(), Waiting::new()]),
        }
    }

    /// Resets the slot for the next descriptor. No node is linked, since the old descriptor was dropped.
    pub(super) fn reset(&self) {
        let lists = self.waiting.lock();
        debug_assert!(
            lists.iter().all(Waiting::is_empty),
            "a descriptor is dropped while a fiber waits for it"
        );
        self.sides
            .iter()
            .flat_map(|side| [&side.word, &side.mark])
            .for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// The current state of a direction. Must be called before the system call that acts on it.
    #[inline]
    pub(super) fn snapshot(&self, direction: Direction) -> Snapshot<'_> {
        self.sides[direction as usize].snapshot()
    }

    /// Handles an event that the kernel has reported: claims and wakes the nodes that wait for it. Of those in line, `Ready`
    /// wakes one, and `HintsOff` (the end or an error) wakes all.
    #[inline(always)]
    pub(super) fn event(&self, events: [Event; 2], wake: &mut impl FnMut(Wakeup)) {
        let (alone, chain) = self.advance(events);
        if let Some(wakeup) = alone {
            wake(wakeup);
        }
        if !chain.is_null() {
            wake_chain(chain, wake);
        }
    }

    /// Counts the event, claims the nodes to wake, and returns the wake-up of a fiber that was alone in waiting to read, and the chain
    /// of all others. They are woken after the lock has been released, since a wake-up may be a system call.
    #[inline(always)]
    fn advance(&self, events: [Event; 2]) -> (Option<Wakeup>, *const Node) {
        let mut lists = self.waiting.lock();
        let [readers, writers] = &mut *lists;
        let mut chain: *const Node = ptr::null();
        let mut alone = None;
        if let Some(all) = self.sides[Direction::Read as usize].advance(events[0]) {
            alone = readers.claim_only().unwrap_or_else(|()| {
                chain = readers.claim(all, chain);
                None
            });
        }
        if let Some(all) = self.sides[Direction::Write as usize].advance(events[1])
            && !writers.is_empty()
        {
            chain = writers.claim(all, chain);
        }
        (alone, chain)
    }

    /// Links a node, unless an event has come since the snapshot, or the poller has been shut down.
    #[inline(always)]
    pub(super) fn link(
        &self,
        direction: Direction,
        node: &Node,
        snapshot: Snapshot<'_>,
        is_shut_down: impl FnOnce() -> bool,
    ) -> LinkResult {
        debug_assert!(
            node.waiter().fiber().is_some() || node.is_of_future() || cfg!(test),
            "threads wait in poll(2)"
        );
        let mut lists = self.waiting.lock();
        // A shutdown sets the flag first, and then takes each slot's lock.
        if is_shut_down() {
            return LinkResult::Closed;
        }
        let side = &self.sides[direction as usize];
        if side.has_moved_on(snapshot) {
            return LinkResult::Ready;
        }
        node.set_slot(self);
        lists[direction as usize].link(node);
        LinkResult::Linked
    }

    /// Whether a node is linked here.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.lock().iter().all(Waiting::is_empty)
    }

    /// Unlinks the node if it is linked here, and returns whether it was.
    #[cold]
    pub(super) fn unlink(&self, direction: Direction, node: &Node) -> bool {
        let mut lists = self.waiting.lock();
        let is_linked = node.is_in(self);
        if is_linked {
            lists[direction as usize].unlink(node);
        }
        is_linked
    }
}

impl Entry<'_> {
    /// Unlinks a node whose wait has ended without an event. Afterwards nothing but its owner uses it.
    #[cold]
    pub(crate) fn unlink(&self, node: &Node) {
        self.slot.unlink(self.direction, node);
    }

    /// Wakes the next node in line. To be called by a fiber that was woken in line and has found something: there may be more,
    /// for which no event will come.
    pub(crate) fn wake_next_in_line(&self, mut wake: impl FnMut(Wakeup)) {
        let claimed = self.slot.waiting.lock()[self.direction as usize].claim(false, ptr::null());
        wake_chain(claimed, &mut wake);
    }
}

const _: () = assert!(cfg!(loom) || size_of::<Slot>() <= 48, "each registered descriptor has one");

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::cell::{Outcome, wake_task};
    use crate::poller::TaskNode;
    use crate::poller::node::OwnNode;

    const READABLE: [Event; 2] = [Event::Ready, Event::None];

    fn wakeups_of(slot: &Slot, events: [Event; 2]) -> usize {
        let mut count = 0;
        slot.event(events, &mut |_| count += 1);
        count
    }

    #[test]
    fn an_event_wakes_the_waiters_of_its_direction() {
        let slot = &Slot::many(1)[0];
        let nodes = [(); 3].map(|()| OwnNode::new(false));
        for (node, direction) in nodes.iter().zip([Direction::Read, Direction::Write, Direction::Read]) {
            assert_eq!(slot.link(direction, node, slot.snapshot(direction), || false), LinkResult::Linked);
        }
        assert_eq!(wakeups_of(slot, READABLE), 2);
        assert_eq!(nodes.each_ref().map(|node| node.waiter().outcome().is_some()), [true, false, true]);
        assert_eq!(wakeups_of(slot, [Event::Ready; 2]), 1);
        assert_eq!(wakeups_of(slot, [Event::Ready; 2]), 0);
    }

    #[test]
    fn an_event_since_the_snapshot_prevents_the_wait() {
        let slot = Slot::new();
        let node = OwnNode::new(false);
        let snapshot = slot.snapshot(Direction::Read);
        assert_eq!(wakeups_of(&slot, READABLE), 0);
        assert_eq!(slot.link(Direction::Read, &node, snapshot, || false), LinkResult::Ready);
        // A snapshot of another registration, or of none, has seen no event of this one.
        assert_eq!(slot.link(Direction::Read, &node, Snapshot::UNREGISTERED, || false), LinkResult::Ready);
        assert_eq!(
            slot.link(Direction::Read, &node, slot.snapshot(Direction::Read), || true),
            LinkResult::Closed
        );
        assert_eq!(
            slot.link(Direction::Read, &node, slot.snapshot(Direction::Read), || false),
            LinkResult::Linked
        );
        Entry { slot: &slot, direction: Direction::Read }.unlink(&node);
        assert_eq!(wakeups_of(&slot, READABLE), 0);
    }

    #[test]
    fn a_short_operation_is_remembered_until_the_next_event() {
        let slot = Slot::new();
        let snapshot = slot.snapshot(Direction::Read);
        snapshot.note(true);
        assert!(slot.snapshot(Direction::Read).is_exhausted());
        assert!(!slot.snapshot(Direction::Write).is_exhausted());
        wakeups_of(&slot, READABLE);
        assert!(!slot.snapshot(Direction::Read).is_exhausted());
        // An event has come since this snapshot.
        snapshot.note(true);
        assert!(!slot.snapshot(Direction::Read).is_exhausted());
        wakeups_of(&slot, [Event::HintsOff, Event::None]);
        slot.snapshot(Direction::Read).note(true);
        assert!(!slot.snapshot(Direction::Read).is_exhausted(), "after the end a short read means nothing");
    }

    #[test]
    fn a_node_of_a_task_lives_until_its_wake_up_is_delivered() {
        let slot = Slot::new();
        let node = TaskNode::for_future(&Context::from_waker(Waker::noop()));
        let weak = Arc::downgrade(&node);
        assert_eq!(
            slot.link(Direction::Read, node.node(), slot.snapshot(Direction::Read), || false),
            LinkResult::Linked
        );
        let mut owner = Some(node);
        slot.event(READABLE, &mut |wakeup| {
            // The task runs at once, and drops its node.
            assert!(!slot.unlink(Direction::Read, owner.as_deref().expect("one event").node()));
            owner = None;
            assert_eq!(weak.strong_count(), 1);
            let Wakeup::Future(task) = wakeup else { panic!("a task waits") };
            wake_task(task);
        });
        assert_eq!(weak.strong_count(), 0);

        let node = TaskNode::for_future(&Context::from_waker(Waker::noop()));
        assert_eq!(
            slot.link(Direction::Read, node.node(), slot.snapshot(Direction::Read), || false),
            LinkResult::Linked
        );
        assert!(slot.unlink(Direction::Read, node.node()));
        node.node().release();
        assert_eq!((Arc::strong_count(&node), wakeups_of(&slot, READABLE)), (1, 0));
    }

    #[test]
    fn a_node_of_a_task_waits_anew_once_its_wake_up_is_delivered() {
        let slot = Slot::new();
        let context = Context::from_waker(Waker::noop());
        let mut node = TaskNode::for_future(&context);
        let first = Arc::as_ptr(&node);
        for _ in 0..3 {
            assert!(!TaskNode::renew(&mut node, &context), "it waits already");
            assert_eq!(
                slot.link(Direction::Read, node.node(), slot.snapshot(Direction::Read), || false),
                LinkResult::Linked
            );
            let mut woken = 0;
            slot.event(READABLE, &mut |wakeup| {
                assert!(!TaskNode::renew(&mut node, &context), "its wake-up is under way");
                let Wakeup::Future(task) = wakeup else { panic!("a task waits") };
                wake_task(task);
                woken += 1;
            });
            assert_eq!((woken, node.will_wake(&context)), (1, false));
            assert!(TaskNode::renew(&mut node, &context));
            assert_eq!(Arc::as_ptr(&node), first);
        }
        node.node().release();
        assert_eq!(Arc::strong_count(&node), 1);
    }

    #[test]
    fn nodes_in_the_middle_and_at_the_ends_can_be_unlinked() {
        for leaver in 0..3 {
            let slot = Slot::new();
            let nodes = [(); 3].map(|()| OwnNode::new(false));
            for node in &nodes {
                assert_eq!(
                    slot.link(Direction::Write, node, slot.snapshot(Direction::Write), || false),
                    LinkResult::Linked
                );
            }
            Entry { slot: &slot, direction: Direction::Write }.unlink(&nodes[leaver]);
            assert_eq!(wakeups_of(&slot, [Event::None, Event::Ready]), 2);
            assert_eq!(nodes[leaver].waiter().outcome(), None);
        }
    }

    #[test]
    fn an_event_wakes_the_first_in_line_and_the_end_wakes_all() {
        let slot = Slot::new();
        let line = [(); 4].map(|()| OwnNode::new(true));
        let other = OwnNode::new(false);
        for node in line.iter().chain([&other]) {
            assert_eq!(
                slot.link(Direction::Read, node, slot.snapshot(Direction::Read), || false),
                LinkResult::Linked
            );
        }
        let awake =
            || line.iter().map(|node| usize::from(node.waiter().outcome().is_some())).collect::<Vec<_>>();
        assert_eq!(wakeups_of(&slot, READABLE), 2);
        assert_eq!((awake(), other.waiter().outcome().is_some()), (vec![1, 0, 0, 0], true));
        // A fiber that has given up is skipped.
        assert!(line[1].waiter().claim(Outcome::TimedOut).is_some());
        let mut passed = 0;
        Entry { slot: &slot, direction: Direction::Read }.wake_next_in_line(|_| passed += 1);
        assert_eq!((passed, awake()), (1, vec![1, 1, 1, 0]));
        assert!(!slot.unlink(Direction::Read, &line[1]), "the node is unlinked already");
        assert_eq!(wakeups_of(&slot, [Event::HintsOff, Event::None]), 1);
    }
}
