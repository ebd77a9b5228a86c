//! Stealing from a deque whose owner takes the newest item: what is stolen runs oldest first.
//!
//! The item that has waited longest at the victim must not wait longer at the thief. The thief's deque also gives the newest
//! first, so the stolen items go into it newest first. crossbeam's own batches cannot be used: from such a deque into
//! another, `steal_batch_and_pop` (0.8.8) returns the newest of the batch and leaves the oldest for the end. It takes the
//! items one by one, too, so nothing is lost.

use crossbeam_deque::{Steal, Stealer, Worker};

/// The maximum number of items that one call takes.
const MAX_STOLEN: usize = 32;

/// Takes the older half of the items of `from`, and returns the oldest. `into`, whose owner takes the newest, then gives the
/// others, oldest first.
pub(crate) fn steal_half<T>(from: &Stealer<T>, into: &Worker<T>) -> Option<T> {
    let oldest = steal_one(from)?;
    let mut batch = [const { None }; MAX_STOLEN - 1];
    let wanted = (from.len() / 2).min(batch.len());
    for slot in &mut batch[..wanted] {
        *slot = steal_one(from);
        if slot.is_none() {
            break;
        }
    }
    batch[..wanted].iter_mut().rev().filter_map(Option::take).for_each(|item| into.push(item));
    Some(oldest)
}

fn steal_one<T>(from: &Stealer<T>) -> Option<T> {
    loop {
        match from.steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Steals once from a victim with `count` items. Returns what the thief then runs, in its order, and what the victim keeps.
    fn stolen_of(count: u32) -> (Vec<u32>, Vec<u32>) {
        let (victim, thief) = (Worker::new_lifo(), Worker::new_lifo());
        (0..count).for_each(|item| victim.push(item));
        let first = steal_half(&victim.stealer(), &thief);
        let run = first.into_iter().chain(std::iter::from_fn(|| thief.pop())).collect();
        (run, std::iter::from_fn(|| victim.pop()).collect())
    }

    #[test]
    fn the_older_half_is_run_oldest_first() {
        assert_eq!(stolen_of(0), (vec![], vec![]));
        assert_eq!(stolen_of(1), (vec![0], vec![]));
        assert_eq!(stolen_of(2), (vec![0], vec![1]));
        assert_eq!(stolen_of(10), ((0..5).collect(), (5..10).rev().collect()));
        assert_eq!(stolen_of(1000).0, (0..MAX_STOLEN as u32).collect::<Vec<_>>());
    }

    #[test]
    fn the_thiefs_own_items_come_after() {
        let (victim, thief) = (Worker::new_lifo(), Worker::new_lifo());
        thief.push(100);
        (0..6).for_each(|item| victim.push(item));
        assert_eq!(steal_half(&victim.stealer(), &thief), Some(0));
        assert_eq!(std::iter::from_fn(|| thief.pop()).collect::<Vec<_>>(), [1, 2, 100]);
    }

    #[test]
    fn each_item_is_taken_once_while_the_owner_works() {
        const ITEMS: usize = 20_000;
        let victim = Worker::new_lifo();
        let stealer = victim.stealer();
        let stolen = std::thread::spawn(move || {
            let thief = Worker::new_lifo();
            let mut stolen = Vec::new();
            while stolen.last() != Some(&ITEMS) {
                stolen.extend(steal_half(&stealer, &thief));
                stolen.extend(std::iter::from_fn(|| thief.pop()));
            }
            stolen
        });
        let mut own = Vec::new();
        for item in 0..ITEMS {
            victim.push(item);
            if item % 3 == 0 {
                own.extend(victim.pop());
            }
        }
        // The last item tells the thief to end; it is stolen alone.
        while !victim.is_empty() {
            own.extend(victim.pop());
        }
        victim.push(ITEMS);
        let mut all = stolen.join().unwrap();
        all.extend(own);
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..=ITEMS));
    }
}
