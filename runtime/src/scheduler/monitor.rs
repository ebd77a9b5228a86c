//! The monitor: a thread that looks after workers that are busy with one fiber for long.
//!
//! Every `PERIOD` it compares each worker's count of visits to its hub with what it saw before. A worker whose
//! count stands still while it holds tasks has its tasks stolen: the monitor wakes a sleeper, who then sees for
//! itself. A worker that stands still for `HOG` is nudged: a signal makes it report the fiber it is in, once
//! per standstill. When all workers have slept
//! for a while the monitor sleeps too, and the first worker that gets up wakes it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::shared::{Phase, Shared};
use crate::os::futex;

const PERIOD: Duration = Duration::from_millis(10);

/// A worker that stays in one fiber this long is reported.
const HOG: Duration = Duration::from_secs(1);

/// After this many periods in which all workers slept, the monitor sleeps as well.
const LULL: u32 = 10;

/// Where the monitor sleeps.
#[derive(Debug, Default)]
pub(super) struct Bell(AtomicU32);

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

impl Bell {
    /// Wakes the monitor if it sleeps. One relaxed load when it does not.
    #[inline]
    pub(super) fn ring(&self) {
        if self.0.load(Ordering::Relaxed) == ASLEEP && self.0.swap(AWAKE, Ordering::AcqRel) == ASLEEP {
            futex::wake_one(self.0.as_ptr());
        }
    }

    /// Waits for `period`; a ring ends it only when the monitor is asleep.
    fn doze(&self, period: Duration) {
        futex::wait(&self.0, AWAKE, Some(Instant::now() + period));
    }

    fn sleep(&self, shared: &Shared) {
        self.0.store(ASLEEP, Ordering::SeqCst);
        // A worker that gets up between our last look and the store would not ring.
        if shared.all_asleep() && shared.phase() == Phase::Running {
            while self.0.load(Ordering::Acquire) == ASLEEP {
                futex::wait(&self.0, ASLEEP, None);
            }
        }
        self.0.store(AWAKE, Ordering::Relaxed);
    }
}

/// What the monitor knows of one worker.
#[derive(Clone, Copy, Default)]
struct Seen {
    visits: u32,
    still_for: Duration,
    reported: bool,
}

/// The monitor thread's body.
pub(crate) fn run_monitor(shared: &Shared) {
    let mut seen = vec![Seen::default(); shared.workers.len()];
    let mut lull = 0;
    while shared.phase() == Phase::Running {
        shared.bell.doze(PERIOD);
        lull = if shared.all_asleep() { lull + 1 } else { 0 };
        if lull >= LULL {
            shared.bell.sleep(shared);
            lull = 0;
        }
        for (worker, seen) in shared.workers.iter().zip(&mut seen) {
            let visits = worker.remote.visits.load(Ordering::Relaxed);
            if visits != seen.visits || worker.remote.inbox.is_sleeping() {
                *seen = Seen { visits, ..Seen::default() };
                continue;
            }
            seen.still_for += PERIOD;
            if worker.stealable() > 0 {
                shared.wake_a_sleeper();
            }
            if seen.still_for >= HOG && !seen.reported {
                seen.reported = true;
                worker.nudge();
            }
        }
    }
}
