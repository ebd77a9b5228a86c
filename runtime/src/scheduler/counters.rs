//! What a worker counts: each count is written by the worker's thread alone, and read by whoever asks for metrics.
//!
//! A yield and a switch count nothing. How often a worker has picked a fiber follows from its ticks: [`Counters::end_of_tick`] is
//! what the count of picks will be at the end of the tick, and `picks_left`, which each pick writes anyway, says how far that is.
//!
//! How long a woken fiber waits until it runs is measured for one wake-up in [`PERIOD`]. Such a fiber is marked, with a flag that each
//! pick tests together with that of a roaming fiber, and is continued by way of the hub, which reads the clock again.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::queue::Count;

/// One wake-up in so many is measured. A power of two.
pub(super) const PERIOD: u64 = 256;

/// The number of a histogram's bounds; there is one bucket more, for what is beyond the last.
pub(crate) const BOUNDS: usize = 24;

/// The least bound of a histogram, in nanoseconds. Each further one is twice as large; the last is 2.1 s.
const FIRST_BOUND_NS: u64 = 256;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Fibers that were spawned on this worker, or by one of its fibers.
    pub(crate) spawned: Count,
    /// Fibers that have ended here twice: they were completed, and went on to drop their result.
    pub(crate) ended_twice: Count,
    /// Wake-ups of this worker's fibers by its own thread: by its other fibers, timers, and the poller if it polls itself.
    pub(crate) woken_here: Count,
    /// Wake-ups of this worker's fibers by other threads.
    pub(crate) woken_elsewhere: Count,
    /// How often this worker took fibers of another one, and how many.
    pub(crate) steals: Count,
    pub(crate) stolen: Count,
    /// How often this worker slept.
    pub(crate) sleeps: Count,
    /// Timers that expired here.
    pub(crate) timers: Count,
    /// See the module's documentation.
    end_of_tick: Count,
    /// The most that was ever reported: two readings of the count of picks must not go backwards.
    reported: AtomicU64,
    /// When the fiber that is measured was woken, on the runtime's clock. `None` if none is.
    sampled_ns: Cell<Option<u64>>,
    pub(crate) latency: Histogram,
}

impl Counters {
    /// Counts a new tick with so many picks, when so many of the last one are left.
    #[inline(always)]
    pub(super) fn begin_tick(&self, picks: u32, left: u32) {
        self.end_of_tick.add(u64::from(picks).wrapping_sub(left.into()));
    }

    /// Counts a fiber that is run without a pick.
    pub(super) fn count_run(&self) {
        self.end_of_tick.add(1);
    }

    /// How often the worker has begun to run a fiber, if so many picks are left of its tick. From any thread.
    pub(crate) fn picks(&self, left: u32) -> u64 {
        // A tick that begins meanwhile spoils the difference; what is too low is corrected here, what is too high by later calls.
        let picks = self.end_of_tick.get().saturating_sub(left.into());
        // Relaxed: a number.
        self.reported.fetch_max(picks, Ordering::Relaxed).max(picks)
    }

    /// Begins a measurement, unless one is under way. Returns whether it has begun.
    #[cold]
    pub(super) fn begin_sample(&self, now_ns: impl FnOnce() -> u64) -> bool {
        if self.sampled_ns.get().is_some() {
            return false;
        }
        self.sampled_ns.set(Some(now_ns()));
        true
    }

    /// Ends the measurement that is under way: its fiber runs.
    #[cold]
    pub(super) fn end_sample(&self, now_ns: u64) {
        if let Some(woken_ns) = self.sampled_ns.take() {
            self.latency.add(now_ns.saturating_sub(woken_ns));
        }
    }
}

/// How often a time fell into each of a row of buckets.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [Count; BOUNDS + 1],
    sum_ns: Count,
}

impl Histogram {
    /// The largest time of a bucket, in nanoseconds.
    pub(crate) fn bound_ns(bucket: usize) -> u64 {
        FIRST_BOUND_NS << bucket
    }

    pub(super) fn add(&self, ns: u64) {
        let bucket = (0..BOUNDS).find(|bucket| ns <= Self::bound_ns(*bucket)).unwrap_or(BOUNDS);
        self.buckets[bucket].add(1);
        self.sum_ns.add(ns);
    }

    /// The number of times in each bucket, and their sum. From any thread.
    pub(crate) fn read(&self) -> ([u64; BOUNDS + 1], u64) {
        (std::array::from_fn(|bucket| self.buckets[bucket].get()), self.sum_ns.get())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let histogram = Histogram::default();
        [0, 256, 257, Histogram::bound_ns(BOUNDS - 1), u64::MAX / 2]
            .into_iter()
            .for_each(|ns| histogram.add(ns));
        let (buckets, _) = histogram.read();
        assert_eq!((buckets[0], buckets[1], buckets[BOUNDS - 1], buckets[BOUNDS]), (2, 1, 1, 1));
    }

    #[test]
    fn picks_never_go_backwards() {
        let counters = Counters::default();
        counters.begin_tick(8, 0);
        assert_eq!((counters.picks(8), counters.picks(3)), (0, 5));
        // A reader that sees the new tick before its picks reads too many.
        counters.begin_tick(61, 3);
        let glitch = counters.picks(3);
        assert!(counters.picks(61) == glitch && counters.picks(0) == 66);
    }
}
