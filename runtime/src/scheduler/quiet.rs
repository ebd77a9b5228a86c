//! Quiet: all workers sleep, and nothing within the runtime will wake one: no timer, no descriptor that is watched, no call in the
//! pool, no fiber whose worker has left it. Then either a thread outside has something in its hands, or the fibers wait for each other for ever.
//!
//! The monitor notices, since it goes to sleep as well when all workers do. It looks once more after a while, and then tells whoever
//! wants to know, once in each quiet period. A period ends when a fiber runs. While anything is pending it costs nothing, and a
//! quiet runtime costs one wake-up of the monitor.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::monitor_parker::NEVER;
use super::phase::Phase;
use super::shared::{Pollers, Shared};
use crate::timer::Wheel;

/// How long it must have been quiet.
const SETTLED: Duration = Duration::from_millis(100);

/// Called on the monitor's thread.
pub(crate) type OnQuiet = Box<dyn Fn() + Send + Sync>;

/// The monitor's memory of quiet periods.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// How many fibers the hubs had resumed when it was first seen quiet, and when that was.
    since: Option<(u64, u64)>,
    /// The same number, of the last period that was told of.
    told: Option<u64>,
}

impl Quiet {
    /// Until when the monitor may sleep while all workers do.
    pub(super) fn look(&mut self, shared: &Shared) -> u64 {
        let Some(on_quiet) = shared.on_quiet.get() else { return NEVER };
        let resumed = shared.resumed();
        if self.told == Some(resumed) || !shared.is_quiet() {
            return NEVER;
        }
        let now = shared.now_ns();
        let settled = SETTLED.as_nanos() as u64;
        match self.since {
            Some((then, at)) if then == resumed && now >= at + settled => {
                self.told = Some(resumed);
                on_quiet();
                // What it did may have woken a worker for a moment, without a fiber having run.
                NEVER
            }
            Some((then, at)) if then == resumed => at + settled,
            _ => {
                self.since = Some((resumed, now));
                now + settled
            }
        }
    }
}

impl Shared {
    /// How many fibers the hubs have resumed.
    fn resumed(&self) -> u64 {
        self.workers.iter().map(|worker| worker.remote.resumed.load(Ordering::Relaxed)).sum()
    }

    /// See the module's documentation. False also if the kernel does not let the process read its own memory.
    pub(crate) fn is_quiet(&self) -> bool {
        let idle_pool = |pool: &crate::pool::Pool| {
            let metrics = pool.metrics();
            metrics.idle == metrics.threads && metrics.queued == 0
        };
        let has_no_timer =
            |worker: &super::Worker| Wheel::peek_is_empty(&raw const worker.wheel) == Some(true);
        let is_watching = match &self.pollers {
            Pollers::Workers(pollers) => pollers.iter().any(|poller| poller.registered() != 0),
            Pollers::Thread(poller) => poller.registered() != 0,
        };
        self.phase() == Phase::Running
            && self.still_alive().1 > 0
            && !is_watching
            && self.injector.is_empty()
            && !self.has_absent_fiber()
            && idle_pool(&self.blocking)
            && self.blocking.forking().is_none_or(|pool| idle_pool(pool))
            && self.workers.iter().all(has_no_timer)
            // Last, since what was looked at before may have been about to wake one.
            && self.all_asleep()
            && self.workers.iter().all(|worker| !worker.remote.inbox.has_items())
    }
}
