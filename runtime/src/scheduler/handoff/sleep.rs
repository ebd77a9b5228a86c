//! What other threads see of a worker's sleep in its poller.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The deadline of a sleep without one.
const NEVER: u64 = u64::MAX;

/// See the module's documentation. All of it is a hint: whether a worker sleeps is known to one that has taken it.
#[derive(Debug)]
pub(in crate::scheduler) struct Sleep {
    /// Counts the beginnings and the ends of sleeps: odd while the worker sleeps.
    turns: AtomicU32,
    /// When the sleep ends, on the clock of the runtime.
    ends_ns: AtomicU64,
}

impl Default for Sleep {
    fn default() -> Self {
        Self { turns: AtomicU32::new(0), ends_ns: AtomicU64::new(NEVER) }
    }
}

/// Names one sleep of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SleepNumber(pub(super) u32);

impl Sleep {
    // Relaxed, here and below: only the worker's thread of the moment writes, and the others only compare.

    /// Begins a sleep that ends by this time, or has no end.
    pub(super) fn begin(&self, ends_ns: Option<u64>) {
        self.ends_ns.store(ends_ns.unwrap_or(NEVER), Ordering::Relaxed);
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Ends the sleep, if there is one. Returns whether there was.
    pub(super) fn end(&self) -> bool {
        let turns = self.turns.load(Ordering::Relaxed);
        let sleeps = turns & 1 == 1;
        self.turns.store(turns.wrapping_add(u32::from(sleeps)), Ordering::Relaxed);
        sleeps
    }

    /// The sleep in which the worker is.
    pub(super) fn current(&self) -> Option<SleepNumber> {
        let turns = self.turns.load(Ordering::Relaxed);
        (turns & 1 == 1).then_some(SleepNumber(turns))
    }

    /// When the sleep should end; `u64::MAX` is never.
    pub(super) fn ends_ns(&self) -> u64 {
        self.ends_ns.load(Ordering::Relaxed)
    }

    /// Whether the sleep should have ended by this time.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        self.ends_ns() <= now_ns
    }
}
