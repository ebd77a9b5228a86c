//! What each turn of a log has moved, from the sums that its records have (`scheduler/moved.rs`): of the thread, or of each fiber if those
//! have storage of their own.

use std::collections::HashMap;

use crate::scheduler::Moved;

/// The sums of one worker's log.
#[derive(Default)]
pub(super) struct Sums {
    /// The thread's, at the end of the last turn.
    thread: Option<u64>,
    /// The fibers', by address; `None` if they have none.
    fibers: Option<HashMap<u64, u64>>,
    /// The one at the end of the fiber that ended last, or ends next.
    at_end: Option<u64>,
}

impl Sums {
    /// Of a log of which no record is missing, or some are.
    pub(super) fn new(have_fibers: bool, is_whole: bool) -> Self {
        Self { thread: None, fibers: have_fibers.then(HashMap::new), at_end: is_whole.then_some(0) }
    }

    /// The worker has come to a thread with this sum.
    pub(super) fn come_to_thread(&mut self, sum: u64) {
        self.thread = Some(sum);
    }

    /// The sum of the fiber that ends next.
    pub(super) fn set_at_end(&mut self, sum: u64) {
        self.at_end = Some(sum);
    }

    /// What was moved in the turn that ends with this sum, of a fiber that is new or not.
    pub(super) fn of_turn(&mut self, fiber: u64, is_new: bool, sum: u64) -> Moved {
        let before = match &mut self.fibers {
            Some(fibers) => fibers.insert(fiber, sum).or(is_new.then_some(0)),
            None => self.thread.replace(sum),
        };
        before.map_or_else(Moved::default, |before| Moved::between(before, sum))
    }

    /// What was moved in the last turn of a fiber. A sum is told only if it is another one than at the last end.
    pub(super) fn of_end(&mut self, fiber: u64, is_new: bool) -> Moved {
        let moved = self.at_end.map_or_else(Moved::default, |sum| self.of_turn(fiber, is_new, sum));
        self.fibers.as_mut().map(|fibers| fibers.remove(&fiber));
        moved
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn sum(read: u64) -> u64 {
        Moved { read, ..Moved::default() }.sum()
    }

    #[test]
    fn a_threads_sum_goes_on_from_fiber_to_fiber() {
        let mut sums = Sums::new(false, true);
        assert_eq!(sums.of_turn(8, true, sum(5)).read, 0, "nobody knows since when");
        sums.come_to_thread(sum(7));
        assert_eq!(sums.of_turn(16, true, sum(9)).read, 2);
        sums.set_at_end(sum(12));
        assert_eq!((sums.of_end(8, false).read, sums.of_end(16, false).read), (3, 0));
    }

    #[test]
    fn a_fibers_own_sum_begins_at_nothing_and_goes_with_it() {
        let mut sums = Sums::new(true, true);
        assert_eq!(sums.of_turn(8, true, sum(5)).read, 5);
        assert_eq!(sums.of_turn(16, false, sum(70)).read, 0, "nobody knows since when");
        assert_eq!(sums.of_turn(16, false, sum(71)).read, 1);
        sums.set_at_end(sum(6));
        // Another one ends that has moved as much in all.
        assert_eq!((sums.of_end(8, false).read, sums.of_end(24, true).read), (1, 6));
        assert_eq!(sums.of_turn(8, true, sum(3)).read, 3, "another fiber");
    }
}
