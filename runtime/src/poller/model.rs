//! A model of the protocol between operations and events: no edge is lost, whatever other operations use the direction.
//!
//! The kernel is a count of bytes. A producer adds to it and reports an edge; a consumer follows the steps of
//! `README.md` up to its park. At the end no consumer may be parked while there are bytes.

#![expect(unsafe_code, reason = "shares nodes between threads")]

use std::sync::atomic::{AtomicU32 as Plain, Ordering::Relaxed};

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use loom::thread;

use super::node::OwnNode;
use super::slot::{Direction, Entry, Event, LinkResult, Slot};

struct Model {
    slot: Slot,
    bytes: AtomicUsize,
    nodes: [OwnNode; 2],
    /// Which consumers have parked; read only when all threads have ended.
    parked: [Plain; 2],
    /// Which consumers in line have gone on.
    resumed: [Plain; 2],
}

// SAFETY: the nodes' cells are only used under the slot's lock, and the nodes live as long as the slot.
unsafe impl Send for Model {}
// SAFETY: as above.
unsafe impl Sync for Model {}

impl Model {
    fn new() -> Arc<Self> {
        Self::with(false)
    }

    fn with(is_in_line: bool) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::new(),
            bytes: AtomicUsize::new(0),
            nodes: [(); 2].map(|()| OwnNode::new(is_in_line)),
            parked: [Plain::new(0), Plain::new(0)],
            resumed: [Plain::new(0), Plain::new(0)],
        })
    }

    /// Lets each woken consumer in line go on, on the thread that woke it: it reads, and wakes the next if there was something.
    /// Otherwise it leaves.
    fn resume(&self) {
        for (node, resumed) in self.nodes.iter().zip(&self.resumed) {
            if node.waiter().outcome().is_some() && resumed.swap(1, Relaxed) == 0 && self.read(1) != 0 {
                Entry { slot: &self.slot, direction: Direction::Read }.wake_next_in_line(|_| ());
                return self.resume();
            }
        }
    }

    /// The kernel receives `bytes`, and the poller reports the event.
    fn produce(&self, bytes: usize, event: Event) {
        self.bytes.fetch_add(bytes, AcqRel);
        self.slot.event([event, Event::None], &mut |_| ());
    }

    /// The system call: takes at most `wanted` bytes, and returns how many.
    fn read(&self, wanted: usize) -> usize {
        let take = |bytes: usize| (bytes > 0).then(|| bytes.saturating_sub(wanted));
        let before = self.bytes.fetch_update(AcqRel, Acquire, take);
        before.map_or(0, |bytes| bytes.min(wanted))
    }

    /// A read of `wanted` bytes by consumer `me`. Returns false if the consumer has parked.
    fn consume(&self, me: usize, wanted: usize) -> bool {
        let mut snapshot = self.slot.snapshot(Direction::Read);
        let mut calls = !snapshot.is_exhausted();
        loop {
            if calls {
                match self.read(wanted) {
                    0 => {}
                    count => {
                        snapshot.note(count < wanted);
                        return true;
                    }
                }
            }
            if self.slot.link(Direction::Read, &self.nodes[me], snapshot, || false) == LinkResult::Linked {
                self.parked[me].store(1, Relaxed);
                return false;
            }
            snapshot = self.slot.snapshot(Direction::Read);
            calls = true;
        }
    }

    fn assert_none_is_stranded(&self) {
        let left = self.bytes.load(Acquire);
        for (node, parked) in self.nodes.iter().zip(&self.parked) {
            let is_asleep = parked.load(Relaxed) == 1 && node.waiter().outcome().is_none();
            assert!(!is_asleep || left == 0, "a consumer sleeps beside {left} bytes");
        }
    }
}

/// Runs a model with two consumers. The second is the producer's thread: with three threads there are too many interleavings.
fn with_two_consumers(produce_and_consume: fn(&Model), wanted: usize) {
    loom::model(move || {
        let model = Model::new();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.consume(0, wanted))
        };
        produce_and_consume(&model);
        other.join().unwrap();
        model.assert_none_is_stranded();
    });
}

#[test]
fn model_two_consumers_share_an_edge() {
    let produce_and_consume = |model: &Model| {
        model.produce(2, Event::Ready);
        model.consume(1, 1);
    };
    with_two_consumers(produce_and_consume, 1);
}

#[test]
fn model_a_short_read_hides_nothing_from_another_consumer() {
    let produce_and_consume = |model: &Model| {
        model.produce(1, Event::Ready);
        model.consume(1, 3);
        model.produce(2, Event::Ready);
    };
    with_two_consumers(produce_and_consume, 3);
}

#[test]
fn model_the_next_event_wakes_a_reader_of_an_exhausted_direction() {
    loom::model(|| {
        let model = Model::new();
        let consumer = {
            let model = Arc::clone(&model);
            thread::spawn(move || while model.consume(0, 4) {})
        };
        model.produce(1, Event::Ready);
        model.produce(2, Event::HintsOff);
        consumer.join().unwrap();
        model.assert_none_is_stranded();
        assert!(
            !model.slot.snapshot(Direction::Read).is_exhausted(),
            "after the end a short read means nothing"
        );
    });
}

#[test]
fn model_a_shutdown_wakes_all_waiters() {
    loom::model(|| {
        let model = Model::new();
        let is_shut_down = Arc::new(AtomicUsize::new(0));
        let waiting = {
            let (model, is_shut_down) = (Arc::clone(&model), Arc::clone(&is_shut_down));
            thread::spawn(move || {
                let snapshot = model.slot.snapshot(Direction::Read);
                model
                    .slot
                    .link(Direction::Read, &model.nodes[0], snapshot, || is_shut_down.load(Acquire) == 1)
            })
        };
        is_shut_down.store(1, Release);
        model.slot.event([Event::Ready; 2], &mut |_| ());
        let result = waiting.join().unwrap();
        assert!(result != LinkResult::Linked || model.nodes[0].waiter().outcome().is_some());
    });
}

#[test]
fn model_one_wakes_the_next_in_line_while_there_is_something() {
    loom::model(|| {
        let model = Model::with(true);
        let consumers = {
            let model = Arc::clone(&model);
            thread::spawn(move || (0..2).for_each(|me| drop(model.consume(me, 1))))
        };
        // One edge for two bytes; and a third reader takes one byte without having waited in line.
        model.produce(2, Event::Ready);
        model.resume();
        model.produce(1, Event::Ready);
        model.read(1);
        model.resume();
        consumers.join().unwrap();
        model.assert_none_is_stranded();
    });
}
