//! How many fibers a runtime has, and how many of its workers have some that its end waits for.

use std::sync::atomic::Ordering;

use super::Shared;

impl Shared {
    /// Notes that a worker has no fiber left that is no thread, and wakes the others: they may have waited for a roaming one.
    pub(in crate::scheduler) fn settle_worker(&self) {
        // AcqRel: pairs with the Acquire in `only_threads_are_left`, by way of the others' decrements.
        self.unsettled.fetch_sub(1, Ordering::AcqRel);
        self.unpark_all();
        if let Some(on_settled) = self.on_settled.get() {
            on_settled();
        }
    }

    /// Whether there are fibers, all of them threads.
    pub(crate) fn only_threads_are_left(&self) -> bool {
        self.unsettled.load(Ordering::Acquire) == 0 && self.has_running_workers()
    }

    /// The number of workers with started fibers, and the number of started fibers.
    pub(crate) fn still_alive(&self) -> (usize, usize) {
        let counts = self.workers.iter().map(|worker| worker.live.len());
        let busy = counts.clone().filter(|count| *count > 0).count();
        (busy, counts.sum::<usize>() + self.roaming.len())
    }

    /// Counts a new fiber. Returns false, and counts nothing, if the limit is reached.
    pub(crate) fn admit(&self) -> bool {
        if self.max_fibers == usize::MAX {
            return true;
        }
        // Relaxed: a counter.
        let admitted = self.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |alive| {
            (alive < self.max_fibers).then_some(alive + 1)
        });
        admitted.is_ok()
    }

    /// Counts a new fiber that the runtime makes for itself, to which the limit does not apply.
    pub(in crate::scheduler) fn admit_own(&self) {
        if self.max_fibers != usize::MAX {
            self.alive.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Uncounts a fiber that has ended.
    #[inline]
    pub(crate) fn dismiss(&self) {
        if self.max_fibers != usize::MAX {
            self.alive.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
