//! The monitor: a thread that looks after workers that are busy with one fiber for long.
//!
//! Every `PERIOD` it compares each worker's count of visits to its hub with what it saw before. A worker whose
//! count stands still while it holds tasks has its tasks stolen: the monitor wakes a sleeper, who then sees for
//! itself. A worker that stands still for `HOG` is nudged: a signal makes it report the fiber it is in, once
//! per standstill. When all workers have slept
//! for a while the monitor sleeps too, and the first worker that gets up wakes it.

use std::ptr;
use std::time::{Duration, Instant};

use super::shared::{Phase, Shared};
use crate::atomic::{AtomicU32, Ordering, fence};
#[cfg(not(loom))]
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
    /// Wakes the monitor if it sleeps. A fence and a relaxed load when it does not; a worker that gets up has just made
    /// system calls.
    #[inline]
    pub(super) fn ring(&self) {
        if self.take_sleep() {
            futex::wake_one(ptr::from_ref(&self.0).cast());
        }
    }

    /// Ends the sleep that [`begin_sleep`](Self::begin_sleep) has begun. True for one of those who ring, who owes the wake-up.
    fn take_sleep(&self) -> bool {
        // SeqCst: pairs with the fence in `begin_sleep`. Of a worker that gets up and a monitor that lies down, one sees
        // the other.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) == ASLEEP && self.0.swap(AWAKE, Ordering::AcqRel) == ASLEEP
    }

    /// The monitor lies down, unless there is something to look after: whoever rings from now on must wake it.
    fn begin_sleep(&self, is_idle: impl FnOnce() -> bool) -> bool {
        self.0.store(ASLEEP, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `take_sleep`.
        fence(Ordering::SeqCst);
        is_idle()
    }

    /// Waits for `period`; a ring ends it only when the monitor is asleep.
    fn doze(&self, period: Duration) {
        futex::wait(&self.0, AWAKE, Some(Instant::now() + period));
    }

    fn sleep(&self, shared: &Shared) {
        if self.begin_sleep(|| shared.all_asleep() && shared.phase() == Phase::Running) {
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

/// Models do not sleep in the kernel.
#[cfg(loom)]
mod futex {
    pub(super) fn wait(_: &super::AtomicU32, _: u32, _: Option<super::Instant>) {
        loom::thread::yield_now();
    }

    pub(super) fn wake_one(_: *const u32) {}
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a monitor that lies down with workers that get up, by themselves or for mail.

    use loom::sync::Arc;
    use loom::thread;

    use super::Bell;
    use crate::queue::Inbox;

    #[test]
    fn a_worker_that_gets_up_is_seen_or_wakes_the_monitor() {
        for is_poked in [false, true] {
            loom::model(move || {
                let shared = Arc::new((Bell::default(), Inbox::<()>::new()));
                assert!(shared.1.begin_sleep());
                let poker = is_poked.then(|| {
                    let theirs = Arc::clone(&shared);
                    thread::spawn(move || _ = theirs.1.poke())
                });
                let theirs = Arc::clone(&shared);
                let worker = thread::spawn(move || {
                    theirs.1.end_sleep();
                    theirs.0.take_sleep()
                });
                let sleeps = shared.0.begin_sleep(|| shared.1.is_sleeping());
                assert!(worker.join().unwrap() || !sleeps, "nobody looks after the worker");
                if let Some(poker) = poker {
                    poker.join().unwrap();
                }
            });
        }
    }
}
