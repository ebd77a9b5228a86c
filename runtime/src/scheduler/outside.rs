//! The counts of fibers that no worker counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::shared::Shared;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct OutsideCounts {
    /// Spawned from outside of the runtime's fibers.
    spawned: AtomicU64,
    /// Ended without having started.
    never_started: AtomicU64,
}

impl OutsideCounts {
    pub(super) fn count_spawned(&self) {
        // Relaxed: a number.
        self.spawned.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_never_started(&self) {
        self.never_started.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// How many fibers were spawned, and how many of them have ended, those that never started included.
    pub(crate) fn spawned_and_ended(&self) -> (u64, u64) {
        // The ends first: a fiber that ends meanwhile counts as alive.
        let mut ended = self.outside.never_started.load(Ordering::Relaxed) + self.roaming.removed();
        for worker in &self.workers {
            let twice = worker.counters().ended_twice.get();
            ended += worker.live().counts().1.saturating_sub(twice);
        }
        let spawned_by_workers: u64 = self.workers.iter().map(|worker| worker.counters().spawned.get()).sum();
        let spawned = self.outside.spawned.load(Ordering::Relaxed) + spawned_by_workers;
        (spawned, ended.min(spawned))
    }
}
