//! The monitor: a thread that watches for workers that stay in one fiber for long.
//!
//! While a worker is awake, the monitor periodically compares each worker's position (`Worker::position`) with the one before.
//! If a worker with unstarted fibers makes no progress for one period, the monitor wakes a sleeping worker to steal them. A
//! worker that makes no progress for the threshold while others wait for it is reported, once per stall. When all workers
//! sleep the monitor sleeps too, until one of them wakes up (`monitor_parker.rs`), after it has looked whether anything ever will
//! wake one (`quiet.rs`).
//!
//! Where fibers have storage of their own, the monitor looks more often, and takes a worker that others wait for from its thread
//! (`handoff/`).

use std::time::Duration;

use super::quiet::Quiet;
use super::reporting::Reporting;
use super::shared::{Phase, Shared};
use super::stall::Stall;
use super::worker::{Position, Worker};

/// How often the monitor looks for fibers that should be stolen, if there is a worker that can steal.
const PERIOD: Duration = Duration::from_millis(10);

/// How often the monitor looks for workers that others wait for, if they can leave their threads. A worker that stands still is
/// seen within twice this time.
const HANDOFF_PERIOD: Duration = Duration::from_micros(500);

/// The monitor's record of one worker.
#[derive(Default)]
struct Progress {
    position: Option<Position>,
    stalled_for: Duration,
    is_reported: bool,
}

impl Shared {
    /// The time between two checks, as [`period`], or sooner if workers can leave their threads.
    pub(super) fn check_period(&self) -> Option<Duration> {
        let handoff = self.has_own_tls().then_some(HANDOFF_PERIOD);
        self.period.into_iter().chain(handoff).min()
    }
}

/// How often the monitor looks whether all workers sleep, if it looks for nothing else.
const QUIET_PERIOD: Duration = Duration::from_secs(1);

/// The time between two checks; `None` if there is nothing to check. A stall is seen within one and a half thresholds.
pub(super) fn period(workers: usize, reporting: &Reporting) -> Option<Duration> {
    let stealing = (workers > 1).then_some(PERIOD);
    let stalls = reporting.threshold.map(|threshold| threshold / 2);
    let quiet = reporting.tells_quiet.then_some(QUIET_PERIOD);
    stealing.into_iter().chain(stalls).chain(quiet).min()
}

/// The monitor thread's body.
pub(crate) fn run_monitor(shared: &Shared) {
    let mut progress: Vec<_> = shared.workers.iter().map(|_| Progress::default()).collect();
    let mut checked_at = shared.now_ns();
    let mut quiet = Quiet::default();
    let has_handoff = shared.has_own_tls();
    let goes_on = || shared.phase() == Phase::Running || (has_handoff && shared.has_running_workers());
    while goes_on() {
        let all_asleep = shared.all_asleep();
        let until = if all_asleep { quiet.look(shared) } else { shared.next_check() };
        shared.monitor_parker.sleep(until, || goes_on() && (!all_asleep || shared.all_asleep()));
        let now = shared.now_ns();
        // Time in which the process or the machine was stopped does not count.
        let since = Duration::from_nanos(now - checked_at).min(2 * shared.check_period().unwrap_or_default());
        for (worker, progress) in shared.workers.iter().zip(&mut progress) {
            progress.check(shared, worker, since);
        }
        // After the workers were looked at: time that passes before is not known to be a stall's.
        checked_at = shared.now_ns();
    }
}

impl Progress {
    fn check(&mut self, shared: &Shared, worker: &Worker, since: Duration) {
        #[cfg(feature = "own-tls")]
        if let Some(spares) = shared.spares.get().filter(|spares| spares.is_eager()) {
            spares.hand_off(worker);
        }
        let position = Some(worker.position());
        if position != self.position || worker.remote.inbox.is_sleeping() {
            *self = Self { position, ..Self::default() };
            return;
        }
        self.stalled_for += since;
        #[cfg(feature = "own-tls")]
        if let Some(spares) = shared.spares.get()
            && worker.is_waited_for()
            && spares.hand_off(worker)
        {
            *self = Self::default();
            return;
        }
        if worker.stealable() > 0 {
            shared.unpark_one();
        }
        let Some(threshold) = shared.reporting.threshold else { return };
        if self.stalled_for >= threshold && !self.is_reported {
            let Some(stall) = worker.examine() else { return };
            self.is_reported = shared.reporting.report(Stall { elapsed: self.stalled_for, ..stall });
        }
    }
}
