//! The monitor: a thread that looks after workers that are busy with one fiber for long.
//!
//! While a worker is up it looks now and then, and compares each worker's position (`Worker::position`) with what it saw
//! before. A worker whose position stands still while it holds tasks has its tasks stolen: the monitor wakes a sleeper, who
//! then sees for itself. One that stands still for the threshold while others wait for it is reported, once per standstill.
//! When all workers sleep the monitor sleeps too, until one of them is up (`monitor_parker.rs`).

use std::time::Duration;

use super::monitor_parker::NEVER;
use super::shared::{Phase, Shared};
use super::stall::Stall;
use super::worker::{Position, Worker};

/// How often it looks for tasks to be stolen, where there is somebody who can steal.
const PERIOD: Duration = Duration::from_millis(10);

/// What the monitor knows of one worker.
#[derive(Default)]
struct Seen {
    position: Option<Position>,
    still_for: Duration,
    is_reported: bool,
}

/// The time between two looks, `None` without anything to look for. A stall is seen within one and a half thresholds.
pub(super) fn period(workers: usize, threshold: Option<Duration>) -> Option<Duration> {
    let stealing = (workers > 1).then_some(PERIOD);
    let stalls = threshold.map(|threshold| threshold / 2);
    stealing.into_iter().chain(stalls).min()
}

/// The monitor thread's body.
pub(crate) fn run_monitor(shared: &Shared) {
    let mut seen: Vec<_> = shared.workers.iter().map(|_| Seen::default()).collect();
    let mut looked_at = shared.now_ns();
    while shared.phase() == Phase::Running {
        let is_lull = shared.all_asleep();
        let until = if is_lull { NEVER } else { shared.next_look() };
        shared
            .monitor_parker
            .sleep(until, || shared.phase() == Phase::Running && (!is_lull || shared.all_asleep()));
        let now = shared.now_ns();
        // A process that was stopped, or a machine, has kept nobody waiting.
        let since = Duration::from_nanos(now - looked_at).min(2 * shared.period.unwrap_or_default());
        looked_at = now;
        for (worker, seen) in shared.workers.iter().zip(&mut seen) {
            seen.look(shared, worker, since);
        }
    }
}

impl Seen {
    fn look(&mut self, shared: &Shared, worker: &Worker, since: Duration) {
        let position = Some(worker.position());
        if position != self.position || worker.remote.inbox.is_sleeping() {
            *self = Self { position, ..Self::default() };
            return;
        }
        self.still_for += since;
        if worker.stealable() > 0 {
            shared.wake_a_sleeper();
        }
        let Some(threshold) = shared.reporting.threshold else { return };
        if self.still_for >= threshold && !self.is_reported {
            let Some(stall) = worker.examine() else { return };
            self.is_reported = shared.reporting.tell(Stall { elapsed: self.still_for, ..stall });
        }
    }
}
