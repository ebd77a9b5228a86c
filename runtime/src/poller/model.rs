//! A model of the protocol between operations and events: no edge is lost, whoever else uses the direction.
//!
//! The kernel is a count of bytes. A producer adds to it and reports an edge; a consumer follows the steps of
//! `README.md` up to its park. At the end nobody may be parked while there are bytes.

#![expect(unsafe_code, reason = "shares nodes between threads")]

use std::sync::atomic::{AtomicU32 as Plain, Ordering::Relaxed};

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use loom::thread;

use super::slot::{Attempt, Edge, Place, Slot, Way};
use crate::cell::Waiter;
use crate::poller::Node;

struct World {
    slot: Slot,
    bytes: AtomicUsize,
    nodes: [Node; 2],
    /// Which consumers have parked; only looked at when all threads have ended.
    parked: [Plain; 2],
    /// Which of those in line have gone on.
    resumed: [Plain; 2],
}

// SAFETY: the nodes' cells are only used under the slot's lock, and they live as long as it.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    fn new() -> Arc<Self> {
        Self::with(Node::new)
    }

    fn with(node: fn(Waiter) -> Node) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::new(),
            bytes: AtomicUsize::new(0),
            nodes: [(); 2].map(|()| node(Waiter::new(None))),
            parked: [Plain::new(0), Plain::new(0)],
            resumed: [Plain::new(0), Plain::new(0)],
        })
    }

    /// Whoever of those in line was woken goes on, here, where it was woken: it reads, and passes on if there was something.
    /// One that is told to wait leaves.
    fn resume(&self) {
        for (node, resumed) in self.nodes.iter().zip(&self.resumed) {
            if node.waiter().outcome().is_some() && resumed.swap(1, Relaxed) == 0 && self.read(1) != 0 {
                Place { slot: &self.slot, way: Way::Read }.pass_on(|_| ());
                return self.resume();
            }
        }
    }

    /// The kernel receives, and somebody reports it.
    fn produce(&self, bytes: usize, edge: Edge) {
        self.bytes.fetch_add(bytes, AcqRel);
        self.slot.event([edge, Edge::None], &mut |_| ());
    }

    /// The system call: takes at most `wanted`.
    fn read(&self, wanted: usize) -> usize {
        let take = |bytes: usize| (bytes > 0).then(|| bytes.saturating_sub(wanted));
        let before = self.bytes.fetch_update(AcqRel, Acquire, take);
        before.map_or(0, |bytes| bytes.min(wanted))
    }

    /// A read of `wanted` bytes by consumer `me`; false if it has parked.
    fn consume(&self, me: usize, wanted: usize) -> bool {
        let mut seen = self.slot.seen(Way::Read);
        let mut calls = !seen.is_drained();
        loop {
            if calls {
                match self.read(wanted) {
                    0 => {}
                    count => {
                        if count < wanted {
                            seen.mark_drained();
                        }
                        return true;
                    }
                }
            }
            if self.slot.link(&self.nodes[me], seen, || false) == Attempt::Linked {
                self.parked[me].store(1, Relaxed);
                return false;
            }
            seen = self.slot.seen(Way::Read);
            calls = true;
        }
    }

    fn assert_nobody_is_stranded(&self) {
        let left = self.bytes.load(Acquire);
        for (node, parked) in self.nodes.iter().zip(&self.parked) {
            let is_asleep = parked.load(Relaxed) == 1 && node.waiter().outcome().is_none();
            assert!(!is_asleep || left == 0, "a consumer sleeps beside {left} bytes");
        }
    }
}

/// The second consumer is the producer's thread: with three threads there are too many interleavings.
fn with_two_consumers(produce_and_consume: fn(&World), wanted: usize) {
    loom::model(move || {
        let world = World::new();
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.consume(0, wanted))
        };
        produce_and_consume(&world);
        other.join().unwrap();
        world.assert_nobody_is_stranded();
    });
}

#[test]
fn model_two_consumers_share_an_edge() {
    let produce_and_consume = |world: &World| {
        world.produce(2, Edge::Ready);
        world.consume(1, 1);
    };
    with_two_consumers(produce_and_consume, 1);
}

#[test]
fn model_a_short_read_hides_nothing_from_another_consumer() {
    let produce_and_consume = |world: &World| {
        world.produce(1, Edge::Ready);
        world.consume(1, 3);
        world.produce(2, Edge::Ready);
    };
    with_two_consumers(produce_and_consume, 3);
}

#[test]
fn model_a_drained_direction_is_woken_by_what_comes_next() {
    loom::model(|| {
        let world = World::new();
        let consumer = {
            let world = Arc::clone(&world);
            thread::spawn(move || while world.consume(0, 4) {})
        };
        world.produce(1, Edge::Ready);
        world.produce(2, Edge::WithoutHints);
        consumer.join().unwrap();
        world.assert_nobody_is_stranded();
        assert!(!world.slot.seen(Way::Read).is_drained(), "after the end a short read means nothing");
    });
}

#[test]
fn model_a_shutdown_lets_go_of_whoever_waits() {
    loom::model(|| {
        let world = World::new();
        let is_shut_down = Arc::new(AtomicUsize::new(0));
        let waiting = {
            let (world, is_shut_down) = (Arc::clone(&world), Arc::clone(&is_shut_down));
            thread::spawn(move || {
                let seen = world.slot.seen(Way::Read);
                world.slot.link(&world.nodes[0], seen, || is_shut_down.load(Acquire) == 1)
            })
        };
        is_shut_down.store(1, Release);
        world.slot.event([Edge::Ready; 2], &mut |_| ());
        let attempt = waiting.join().unwrap();
        assert!(attempt != Attempt::Linked || world.nodes[0].waiter().outcome().is_some());
    });
}

#[test]
fn model_one_wakes_the_next_in_line_while_there_is_something() {
    loom::model(|| {
        let world = World::with(Node::in_line);
        let consumers = {
            let world = Arc::clone(&world);
            thread::spawn(move || (0..2).for_each(|me| drop(world.consume(me, 1))))
        };
        // One edge for two bytes; and a third who takes one without having stood in line.
        world.produce(2, Edge::Ready);
        world.resume();
        world.produce(1, Edge::Ready);
        world.read(1);
        world.resume();
        consumers.join().unwrap();
        world.assert_nobody_is_stranded();
    });
}
