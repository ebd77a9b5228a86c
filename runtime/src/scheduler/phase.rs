//! The phase of a runtime's life, and what is left of it at its end.

use std::sync::atomic::Ordering;

use super::shared::{Pollers, Shared};
use super::worker::Worker;

/// The phase of a runtime's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Spawning fails, and the remaining fibers are cancelled.
    Closing,
}

/// The bit of the phase word that is set from `Phase::Closing` on.
const CLOSING: u8 = 1;

/// The bit of the phase word that is set if there are hooks: a starting fiber tests all bits at once.
pub(super) const HOOKED: u8 = 2;

/// The bit of the phase word that is set if there is a full recorder.
const RECORDED: u8 = 4;

/// The bit of the phase word that is set if turns are logged.
const LOGGED: u8 = 16;

/// The bit of the phase word that is set if the fibers that are threads end with the others.
const THREADS_END: u8 = 8;

/// What a starting fiber is marked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// Nothing: the runtime is running, and has neither hooks nor a recorder.
    None,
    /// That its turns are logged, and nothing else.
    Log,
    More,
}

/// Called whenever a worker has no fiber left that is no thread.
pub(crate) type OnSettled = Box<dyn Fn() + Send + Sync>;

impl Shared {
    pub(crate) fn phase(&self) -> Phase {
        // SeqCst, not Acquire: a thread that spawns from outside has taken a guard before; see `close`.
        if self.phase.load(Ordering::SeqCst) & CLOSING == 0 { Phase::Running } else { Phase::Closing }
    }

    /// What a starting fiber is marked with.
    #[inline]
    pub(super) fn marks(&self) -> Marks {
        // Acquire: pairs with the Release in `close` and `mark_fibers`.
        match self.phase.load(Ordering::Acquire) {
            0 => Marks::None,
            LOGGED => Marks::Log,
            _ => Marks::More,
        }
    }

    /// Makes fibers that start from now on write events for the full recorder, or turns into a log.
    pub(super) fn mark_fibers(&self, marks: Marks) {
        let bit = if marks == Marks::Log { LOGGED } else { RECORDED };
        self.phase.fetch_or(bit, Ordering::Release);
    }

    /// Whether the end of the runtime is the end of its fibers that are threads.
    pub(crate) fn ends_threads(&self) -> bool {
        // Acquire: pairs with the Release in `close`.
        self.phase.load(Ordering::Acquire) & THREADS_END != 0
    }

    /// Begins the shutdown: spawning fails from now on, and all threads are woken to see it.
    pub(crate) fn close(&self, ends_threads: bool) {
        let bits = if ends_threads { CLOSING | THREADS_END } else { CLOSING };
        // SeqCst: a thread that spawns from outside either sees this or is seen by `await_guards`.
        self.phase.fetch_or(bits, Ordering::SeqCst);
        self.unpark_all();
        self.monitor_parker.unpark_by(|| self.now_ns());
    }

    /// Notes that a worker's thread runs no more fibers, and wakes the other threads: the workers may wait for the roaming fiber
    /// that has just ended there, and the poller thread waits for the last worker.
    pub(super) fn end_worker(&self, worker: &Worker) {
        let index = worker.index;
        if let Pollers::Workers(pollers) = &self.pollers {
            // Fibers of other workers may wait for descriptors that are registered here.
            pollers[index].shut_down(super::wake);
        }
        // Release: pairs with the Acquire in `has_running_workers`.
        let is_last = self.running.fetch_sub(1, Ordering::Release) == 1;
        worker.settle();
        self.unpark_all();
        if is_last && self.has_own_tls() {
            self.close_spares();
        }
    }

    /// Notes that a worker has no fiber left that is no thread, and wakes the others: they may have waited for a roaming one.
    pub(super) fn settle_worker(&self) {
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

    /// Whether a worker has not ended yet.
    pub(super) fn has_running_workers(&self) -> bool {
        // Acquire: pairs with the Release in `end_worker`.
        self.running.load(Ordering::Acquire) != 0
    }
}
