//! The monitor_parker: where the monitor sleeps, and how others see to it that it gets up in time.
//!
//! One word holds the time at which the monitor will get up. Whoever wants it up sooner lowers the word and puts the alarm
//! forward; the monitor sleeps on. So a worker that gets up and lies down again before the monitor would have looked costs
//! the monitor at most one rise, and workers that do so all the time cost one for each of its looks.
//!
//! | monitor | caller |
//! |---|---|
//! | 1. writes its time | 1. does what the monitor is to see |
//! | 2. fence | 2. fence |
//! | 3. looks once more whether that is soon enough | 3. reads the time; soon enough: done |
//! | 4. sets the alarm | 4. lowers it, and sets the alarm |
//!
//! Of the fences one is first, so either the look of step 3 sees what the caller did, or the caller sees the time. Two who
//! set the alarm may do it in the wrong order; so each looks at the word afterwards, and sets the alarm again if it has
//! changed. Times only fall while the monitor sleeps, so the last to set the alarm has set it to the word's time.

use std::io;
use std::time::Instant;

use crate::atomic::{AtomicU64, Ordering, fence};
use crate::os::alarm::Alarm;

/// The time of a monitor that is awake.
const UP: u64 = 0;

/// No time: the monitor sleeps until it is called.
pub(super) const NEVER: u64 = u64::MAX;

/// See the module's documentation. Times are nanoseconds on the runtime's clock.
#[derive(Debug)]
pub(super) struct MonitorParker {
    gets_up_at: AtomicU64,
    alarm: Alarm,
}

impl MonitorParker {
    pub(super) fn new(epoch: Instant) -> io::Result<Self> {
        Ok(Self { gets_up_at: AtomicU64::new(UP), alarm: Alarm::new(epoch)? })
    }

    /// Has the monitor up by the time that `by` says, which is asked only if it sleeps. A fence and a load when it does not.
    #[inline]
    pub(super) fn unpark_by(&self, by: impl FnOnce() -> u64) {
        // SeqCst: pairs with the fence in `begin_sleep`.
        fence(Ordering::SeqCst);
        let mut at = self.gets_up_at.load(Ordering::Relaxed);
        if at == UP {
            return;
        }
        let by = by();
        while by < at {
            // Relaxed: the word carries nothing but itself.
            match self.gets_up_at.compare_exchange(at, by, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return self.set_alarm(by),
                Err(other) => at = other,
            }
        }
    }

    #[cold]
    fn set_alarm(&self, mut at: u64) {
        loop {
            self.alarm.set(at);
            // Relaxed: the kernel sets a timer under a lock; who set this one before had changed the word before that.
            let now = self.gets_up_at.load(Ordering::Relaxed);
            if now == at || now == UP || now == NEVER {
                return;
            }
            at = now;
        }
    }

    /// The monitor lies down until this time, or for good. `is_soon_enough` looks once more whether anybody wants it sooner.
    pub(super) fn sleep(&self, until: u64, is_soon_enough: impl FnOnce() -> bool) {
        if self.begin_sleep(until, is_soon_enough) {
            self.alarm.wait();
        }
        self.gets_up_at.store(UP, Ordering::Relaxed);
    }

    fn begin_sleep(&self, until: u64, is_soon_enough: impl FnOnce() -> bool) -> bool {
        self.gets_up_at.store(until, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `call`.
        fence(Ordering::SeqCst);
        if !is_soon_enough() {
            return false;
        }
        if until != NEVER {
            self.set_alarm(until);
        }
        true
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a monitor that lies down with workers that get up, by themselves or for items.

    use std::time::Instant;

    use loom::sync::Arc;
    use loom::thread;

    use super::{MonitorParker, NEVER};
    use crate::queue::Inbox;

    #[test]
    fn model_a_worker_that_gets_up_is_seen_or_sets_the_alarm() {
        for is_notified in [false, true] {
            loom::model(move || {
                let shared = Arc::new((MonitorParker::new(Instant::now()).unwrap(), Inbox::<()>::new()));
                assert!(shared.1.begin_sleep());
                let notifier = is_notified.then(|| {
                    let theirs = Arc::clone(&shared);
                    thread::spawn(move || _ = theirs.1.notify())
                });
                let theirs = Arc::clone(&shared);
                let worker = thread::spawn(move || {
                    theirs.1.end_sleep();
                    theirs.0.unpark_by(|| 10);
                });
                let sleeps = shared.0.begin_sleep(NEVER, || shared.1.is_sleeping());
                worker.join().unwrap();
                assert!(!sleeps || shared.0.alarm.is_set_to() == 10, "nobody looks after the worker");
                if let Some(notifier) = notifier {
                    notifier.join().unwrap();
                }
            });
        }
    }

    #[test]
    fn model_the_alarm_rings_at_the_earliest_of_all_times() {
        for own in [5, 15, 30, NEVER] {
            loom::model(move || {
                let monitor_parker = Arc::new(MonitorParker::new(Instant::now()).unwrap());
                let callers = [10, 20].map(|by| {
                    let monitor_parker = Arc::clone(&monitor_parker);
                    thread::spawn(move || monitor_parker.unpark_by(|| by))
                });
                // Who came before the monitor's fence may have found it up: then there was something to see.
                let sleeps = monitor_parker.begin_sleep(own, || true);
                callers.into_iter().for_each(|caller| caller.join().unwrap());
                let at = monitor_parker.gets_up_at.load(super::Ordering::Relaxed);
                assert!(sleeps && at <= own);
                assert_eq!(
                    monitor_parker.alarm.is_set_to(),
                    at,
                    "it does not ring at the time that all believe in"
                );
            });
        }
    }
}
