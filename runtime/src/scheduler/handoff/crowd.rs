//! More threads than processors: some of them wait for one, and another thread would wait as well.

use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

/// See the module's documentation.
pub(super) struct Crowd {
    /// How many threads can run at once.
    processors: usize,
    /// The threads that were started, and have not come: without a processor they come late, and more would come later.
    starting: AtomicUsize,
    /// The threads that compute in fibers whose homes have left them. One may be back before it was counted.
    computing: AtomicIsize,
    /// Whether a thread stood still in a fiber when the monitor looked last.
    standing: AtomicBool,
}

impl Crowd {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            processors,
            starting: AtomicUsize::new(0),
            computing: AtomicIsize::new(0),
            standing: AtomicBool::new(false),
        }
    }

    /// Whether one more thread would come, rather than wait with those that are on their way.
    pub(super) fn wants_another(&self) -> bool {
        // Relaxed: a number, here and below.
        self.starting.load(Ordering::Relaxed) < self.processors
    }

    /// A thread is being started.
    pub(super) fn begins(&self) {
        self.starting.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread that was being started is there, or could not be.
    pub(super) fn has_come(&self) {
        self.starting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A thread that its worker has left computes.
    pub(super) fn computes(&self) {
        self.computing.fetch_add(1, Ordering::Relaxed);
    }

    /// One that has computed does so no more.
    pub(super) fn has_computed(&self) {
        self.computing.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes whether a thread stands still in a fiber.
    pub(super) fn note_standing(&self, stands: bool) {
        self.standing.store(stands, Ordering::Relaxed);
    }

    /// Whether anybody computes.
    pub(super) fn is_there(&self) -> bool {
        self.standing.load(Ordering::Relaxed) || self.computing.load(Ordering::Relaxed) > 0
    }

    /// How many spares are to wait for the next that is stuck.
    pub(super) fn wanted_spares(&self) -> usize {
        1 + usize::from(self.is_full())
    }

    /// Whether those that compute want all processors: a thread that waits for one waits for them.
    pub(super) fn is_full(&self) -> bool {
        self.computing.load(Ordering::Relaxed) >= self.processors as isize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_while_as_many_compute_as_there_are_processors() {
        let crowd = Crowd { processors: 2, ..Crowd::new() };
        // One that is back before it was counted.
        crowd.has_computed();
        assert!(!crowd.is_full() && !crowd.is_there());
        crowd.note_standing(true);
        assert!(crowd.is_there());
        crowd.note_standing(false);
        (0..3).for_each(|_| crowd.computes());
        assert!(crowd.is_full());
        assert_eq!(crowd.wanted_spares(), 2);
        crowd.has_computed();
        assert!(!crowd.is_full() && crowd.is_there());
        assert_eq!(crowd.wanted_spares(), 1);
    }
}
