//! Models of a backlog, with windows of four items. The blocks' deque is crossbeam's, which loom does not see, so items that go
//! through blocks are numbers; the others lead to what loom watches.

#![expect(unsafe_code, reason = "the models read what a taken item leads to")]

use std::iter;
use std::ptr::NonNull;

use loom::thread;

use super::*;
use crate::atomic::UnsafeCell;

/// A bit behind a pointer, which loom checks for races.
#[derive(Clone, Copy)]
struct Item(NonNull<UnsafeCell<u32>>);

// SAFETY: the backlog hands it from thread to thread, which loom checks.
unsafe impl Send for Item {}

impl Item {
    fn new(bit: u32) -> Self {
        let item = Box::leak(Box::new(UnsafeCell::new(0)));
        // SAFETY: no other thread has it yet. Written here, and not by `new`, so that loom sees a write to race with.
        item.with_mut(|cell| unsafe { *cell = bit });
        Self(NonNull::from(item))
    }

    /// Takes the bit, as the thread does that runs the item.
    fn run(self) -> u32 {
        // SAFETY: an item is taken once, by a thread which then owns the leaked box.
        let item = unsafe { Box::from_raw(self.0.as_ptr()) };
        // SAFETY: as above; loom checks it.
        item.with_mut(|bit| unsafe { *bit })
    }
}

/// Steals once and runs what was stolen. Returns the sum.
fn steal<T: Copy>(stealer: &Stealer<T>, run: fn(T) -> u32) -> u32 {
    let own = Backlog::new();
    let Some((oldest, count)) = stealer.steal_into(&own) else { return 0 };
    let rest: Vec<_> = iter::from_fn(|| own.pop()).collect();
    assert_eq!(rest.len() + 1, count);
    run(oldest) + rest.into_iter().map(run).sum::<u32>()
}

/// Each item is a bit, so the sum of all that were run shows one that is lost or run twice.
fn check<T: Copy + Send + 'static>(
    thieves: usize,
    run: fn(T) -> u32,
    sum: u32,
    owner: impl Fn(&Backlog<T>) -> u32 + Send + Sync + 'static,
) {
    loom::model(move || {
        let victim = Backlog::new();
        let thieves: Vec<_> = (0..thieves)
            .map(|_| {
                let stealer = victim.stealer();
                thread::spawn(move || steal(&stealer, run))
            })
            .collect();
        let mut seen = owner(&victim);
        seen += iter::from_fn(|| victim.pop()).map(run).sum::<u32>();
        for thief in thieves {
            seen += thief.join().unwrap();
        }
        seen += iter::from_fn(|| victim.pop()).map(run).sum::<u32>();
        assert_eq!(seen, sum);
        assert!(victim.is_empty());
    });
}

#[test]
fn model_each_item_of_a_window_is_taken_once() {
    check(2, Item::run, 7, |victim| {
        victim.push(Item::new(1));
        victim.push(Item::new(2));
        let popped = victim.pop().map_or(0, Item::run);
        victim.push(Item::new(4));
        popped
    });
}

#[test]
fn model_slots_are_written_again_after_they_are_read() {
    check(1, Item::run, 63, |victim| {
        (0..4).for_each(|bit| _ = victim.push(Item::new(1 << bit)));
        let popped = victim.pop().map_or(0, Item::run) + victim.pop_oldest().map_or(0, Item::run);
        victim.push(Item::new(16));
        victim.push(Item::new(32));
        popped
    });
}

#[test]
fn model_a_window_overflows_while_it_is_copied() {
    check(
        2,
        |bit| bit,
        255,
        |victim| {
            (0..8).for_each(|bit| _ = victim.push(1 << bit));
            0
        },
    );
}

#[test]
fn model_the_oldest_of_a_block_are_taken_once() {
    check(
        1,
        |bit| bit,
        127,
        |victim| {
            (0..7).for_each(|bit| _ = victim.push(1 << bit));
            [victim.pop_oldest(), victim.pop_oldest(), victim.pop_oldest()].into_iter().flatten().sum()
        },
    );
}

/// The thief is done when the owner steals a single item elsewhere, with which it takes nothing over. The word that the owner then sees must
/// not pass for one that has told it of the thief's reads.
#[test]
fn model_a_steal_of_one_item_says_nothing_of_the_slots() {
    check(1, Item::run, 63, |victim| {
        victim.push(Item::new(1));
        let popped = victim.pop().map_or(0, Item::run);
        let other = Backlog::new();
        other.push(Item::new(2));
        let stolen = other.stealer().steal_into(victim).map_or(0, |(item, _)| item.run());
        // The last one lies where the thief has read.
        (2..6).for_each(|bit| _ = victim.push(Item::new(1 << bit)));
        popped + stolen
    });
}
