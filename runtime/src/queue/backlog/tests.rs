//! The order of a backlog, and that each item is taken once.

use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

fn filled(items: impl IntoIterator<Item = u32>) -> Backlog<u32> {
    let backlog = Backlog::new();
    items.into_iter().for_each(|item| _ = backlog.push(item));
    backlog
}

fn popped(backlog: &Backlog<u32>) -> Vec<u32> {
    iter::from_fn(|| backlog.pop()).collect()
}

/// Steals once from a victim with `count` items. Returns what the thief then runs, in its order, and what the victim keeps.
fn stolen_of(count: u32) -> (Vec<u32>, Vec<u32>) {
    let (victim, thief) = (filled(0..count), Backlog::new());
    let first = victim.stealer().steal_into(&thief);
    let run: Vec<_> = first.map(|first| first.0).into_iter().chain(popped(&thief)).collect();
    assert_eq!(first.map_or(0, |first| first.1), run.len());
    (run, popped(&victim))
}

#[test]
fn the_older_half_is_run_oldest_first() {
    assert_eq!(stolen_of(0), (vec![], vec![]));
    assert_eq!(stolen_of(1), (vec![0], vec![]));
    assert_eq!(stolen_of(2), (vec![0], vec![1]));
    assert_eq!(stolen_of(3), (vec![0], vec![2, 1]));
    assert_eq!(stolen_of(10), ((0..5).collect(), (5..10).rev().collect()));
    assert_eq!(stolen_of(256), ((0..128).collect(), (128..256).rev().collect()));
    assert_eq!(stolen_of(1000), ((0..128).collect(), (128..1000).rev().collect()));
}

#[test]
fn the_thiefs_own_items_come_after() {
    let (victim, thief) = (filled(0..6), filled([100]));
    assert_eq!(victim.stealer().steal_into(&thief), Some((0, 3)));
    assert_eq!(popped(&thief), [1, 2, 100]);
}

#[test]
fn a_thief_without_room_keeps_what_it_steals() {
    let (victim, thief) = (filled(0..1000), filled(2000..2200));
    assert_eq!(victim.stealer().steal_into(&thief), Some((0, 128)));
    assert_eq!(victim.stealer().steal_into(&thief), Some((128, 128)));
    let mut all = popped(&thief);
    all.sort_unstable();
    assert!(all.into_iter().eq((1..128).chain(129..256).chain(2000..2200)));
}

#[test]
fn its_owner_takes_the_newest_or_the_oldest() {
    let backlog = filled(0..1000);
    assert_eq!(backlog.newest(), Some(999));
    assert_eq!(backlog.pop(), Some(999));
    for oldest in 0..300 {
        assert_eq!(backlog.pop_oldest(), Some(oldest));
    }
    assert_eq!(backlog.pop(), Some(998));
    assert_eq!(backlog.push(5000), 998 - 768 + 1 + 3 * 128, "{backlog:?}");
    assert_eq!(backlog.pop(), Some(5000));
    let rest = popped(&backlog);
    let (newest, opened) = rest.split_at(998 - 384);
    assert!(newest.iter().copied().eq((384..998).rev()));
    assert!(opened.iter().copied().eq(300..384), "of the oldest block the oldest first: {opened:?}");
    assert!(backlog.is_empty());
    assert_eq!((backlog.pop(), backlog.pop_oldest(), backlog.newest()), (None, None, None));
}

#[test]
fn an_opened_block_is_there_for_thieves() {
    let (victim, thief) = (filled(0..1000), Backlog::new());
    assert_eq!(victim.pop_oldest(), Some(0));
    let stealer = victim.stealer();
    assert_eq!(stealer.len(), 999 + 1, "the opened block counts as a full one");
    assert_eq!(stealer.steal_into(&thief), Some((1, 127)));
    assert_eq!(stealer.len(), 1000 - 128);
    assert!(popped(&thief).into_iter().eq(2..128));
    // What the victim drops with an opened block is freed; a check for leaks would tell.
    assert_eq!(victim.pop_oldest(), Some(128));
}

#[test]
fn a_window_that_is_being_copied_takes_more_items() {
    let victim = filled(0..256);
    let claimed = victim.shared.window.claim().expect("it is full");
    assert!(victim.stealer().steal_into(&Backlog::new()).is_none(), "one thread copies at a time");
    (256..600).for_each(|item| _ = victim.push(item));
    assert_eq!(victim.pop(), Some(599));
    assert!(claimed.items().eq(0..128));
    drop(claimed);
    let mut all = popped(&victim);
    all.sort_unstable();
    assert!(all.into_iter().eq(128..599));
}

/// Positions go on from where the window was empty last, and round at the end.
#[test]
fn a_window_is_filled_from_any_position() {
    let (victim, thief) = (Backlog::new(), Backlog::new());
    for round in 0..70_000 {
        victim.push(round);
        if round % 7 == 0 {
            assert_eq!(victim.stealer().steal_into(&thief), Some((round, 1)));
        } else {
            assert_eq!(victim.pop_oldest(), Some(round));
        }
        if round % 1_000 == 0 {
            (0..600).for_each(|item| _ = victim.push(item));
            assert!(popped(&victim).into_iter().eq((0..600).rev()));
        }
    }
}

#[test]
fn all_of_a_window_may_be_taken_and_not_yet_copied() {
    let victim = filled(0..256);
    let claimed = victim.shared.window.claim().expect("it is full");
    assert!((128..256).all(|oldest| victim.pop_oldest() == Some(oldest)));
    assert!(victim.is_empty());
    for round in 0..3 {
        victim.push(1000 + round);
    }
    assert_eq!(popped(&victim), [1002, 1001, 1000]);
    assert!(claimed.items().eq(0..128));
    drop(claimed);
    (0..256).for_each(|item| _ = victim.push(item));
    assert_eq!(popped(&victim).len(), 256);
}

/// Thieves take what they can while the owner adds and takes, in bursts that overflow the window and leave it empty.
#[test]
fn each_item_is_taken_once_while_the_owner_works() {
    const ITEMS: u32 = if cfg!(miri) { 2_000 } else { 200_000 };
    let victim = Backlog::new();
    let done = AtomicBool::new(false);
    let thief = |stealer: Stealer<u32>| {
        let thief = Backlog::new();
        let mut all = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let stolen = stealer.steal_into(&thief);
            let before = all.len();
            all.extend(stolen.map(|stolen| stolen.0));
            all.extend(iter::from_fn(|| thief.pop()));
            assert_eq!(all.len() - before, stolen.map_or(0, |stolen| stolen.1));
        }
        all
    };
    let mut all = Vec::new();
    thread::scope(|scope| {
        let thieves = [victim.stealer(), victim.stealer()].map(|stealer| scope.spawn(|| thief(stealer)));
        for item in 0..ITEMS {
            victim.push(item);
            match item % 5_000 {
                4_000.. if item % 3 == 0 => all.extend(victim.pop_oldest()),
                4_000.. => all.extend((0..7).filter_map(|_| victim.pop())),
                0..1_000 => all.extend(victim.pop()),
                _ => {}
            }
        }
        all.extend(iter::from_fn(|| victim.pop()));
        assert!(victim.is_empty());
        done.store(true, Ordering::Relaxed);
        thieves.into_iter().for_each(|thief| all.extend(thief.join().unwrap()));
    });
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ITEMS));
}
