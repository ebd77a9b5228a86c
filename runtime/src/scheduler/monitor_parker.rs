//! The monitor's parker: the monitor sleeps here, and others make sure that it wakes up in time.
//!
//! One word holds the time at which the monitor will wake up. A worker that needs the monitor sooner lowers the word and sets
//! the alarm to the earlier time; the monitor sleeps on until then. So a worker that wakes up and sleeps again before the
//! monitor's next check costs the monitor at most one wake-up, and workers that do so all the time cost one for each check.
//!
//! | monitor | caller |
//! |---|---|
//! | 1. writes its wake-up time | 1. makes the change that the monitor must see |
//! | 2. fence | 2. fence |
//! | 3. checks once more whether that time is soon enough | 3. reads the time; soon enough: done |
//! | 4. sets the alarm | 4. lowers the time, and sets the alarm |
//!
//! One of the fences comes first, so either the check of step 3 sees what the caller did, or the caller sees the time. Two
//! threads that set the alarm may do it in the wrong order. So each of them reads the word afterwards, and sets the alarm again
//! if the word has changed. Whoever is the last to set the alarm has changed the word before, so it sets the alarm to the word's time.
//!
//! A worker that has just been in its hub need not be looked at for a while. So it may put the alarm off, if the monitor has nothing
//! else to look at ([`put_off`](MonitorParker::put_off)): a loaded worker, which always is awake, then wakes the monitor for the latest time only
//! that the monitor has set.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::atomic::{AtomicU64, Ordering, fence};
use crate::os::alarm::Alarm;

/// The word while the monitor is awake.
const AWAKE: u64 = 0;

/// No wake-up time: the monitor sleeps until it is unparked.
pub(super) const NEVER: u64 = u64::MAX;

/// See the module's documentation. Times are nanoseconds on the runtime's clock.
#[derive(Debug)]
pub(super) struct MonitorParker {
    wakes_at: AtomicU64,
    /// Until when the alarm may be put off, while the monitor sleeps; [`AWAKE`] is not at all.
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    latest: AtomicU64,
    alarm: Alarm,
}

impl MonitorParker {
    pub(super) fn new(epoch: Instant) -> io::Result<Self> {
        Ok(Self {
            wakes_at: AtomicU64::new(AWAKE),
            #[cfg(any(feature = "own-tls", all(test, loom)))]
            latest: AtomicU64::new(AWAKE),
            alarm: Alarm::new(epoch)?,
        })
    }

    /// Makes the monitor wake up by the time that `by` returns. `by` is called only if the monitor sleeps; otherwise this is
    /// a fence and a load.
    #[inline]
    pub(super) fn unpark_by(&self, by: impl FnOnce() -> u64) {
        // SeqCst: pairs with the fence in `begin_sleep`.
        fence(Ordering::SeqCst);
        let mut at = self.wakes_at.load(Ordering::Relaxed);
        if at == AWAKE {
            return;
        }
        let by = by();
        while by < at {
            // Relaxed: the word carries nothing but itself.
            match self.wakes_at.compare_exchange(at, by, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return self.set_alarm(by),
                Err(other) => at = other,
            }
        }
    }

    /// Lets the alarm be put off until then, while the monitor sleeps next; [`AWAKE`] is not at all. From the monitor, before it sleeps.
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    pub(super) fn let_put_off(&self, latest: u64) {
        // Relaxed: a number that is there for longer than it takes to be seen.
        self.latest.store(latest, Ordering::Relaxed);
    }

    /// Forbids that for this sleep.
    #[cfg(feature = "own-tls")]
    pub(super) fn keep_alarm(&self) {
        self.let_put_off(AWAKE);
    }

    /// Puts the alarm off to the time that `to` returns, if it would go off in less than `near` from `now`, and may be.
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    #[inline]
    pub(super) fn put_off(&self, now: u64, near: u64, to: impl FnOnce() -> u64) {
        // Relaxed, here and below: the words carry nothing but themselves.
        let at = self.wakes_at.load(Ordering::Relaxed);
        // One that is due is not put off: it may be for another reason.
        if at > now && at - now < near && self.latest.load(Ordering::Relaxed) > at {
            self.put_off_from(at, to());
        }
    }

    #[cfg(any(feature = "own-tls", all(test, loom)))]
    #[cold]
    fn put_off_from(&self, at: u64, to: u64) {
        let to = to.min(self.latest.load(Ordering::Relaxed));
        if to > at && self.wakes_at.compare_exchange(at, to, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.set_alarm(to);
        }
    }

    #[cold]
    fn set_alarm(&self, mut at: u64) {
        loop {
            self.alarm.set(at);
            // Relaxed: the kernel sets a timer under a lock, and a thread that set this one before had changed the word before.
            let now = self.wakes_at.load(Ordering::Relaxed);
            if now == at || now == AWAKE || now == NEVER {
                return;
            }
            at = now;
        }
    }

    /// Sleeps until this time, or until unparked if it is [`NEVER`], or until one of the `others` is readable. `is_soon_enough` checks
    /// once more whether the monitor is needed sooner; then it does not sleep, and this returns false.
    pub(super) fn sleep(
        &self,
        until: u64,
        others: &[BorrowedFd<'_>],
        is_soon_enough: impl FnOnce() -> bool,
    ) -> bool {
        let sleeps = self.begin_sleep(until, is_soon_enough);
        if sleeps {
            self.alarm.wait(others);
        }
        self.wakes_at.store(AWAKE, Ordering::Relaxed);
        sleeps
    }

    pub(super) fn begin_sleep(&self, until: u64, is_soon_enough: impl FnOnce() -> bool) -> bool {
        self.wakes_at.store(until, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `unpark_by`.
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
impl MonitorParker {
    /// When the monitor wakes up.
    pub(super) fn wakes_at(&self) -> u64 {
        self.wakes_at.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a monitor that goes to sleep with workers that wake up, by themselves or for items.

    use std::time::Instant;

    use loom::sync::Arc;
    use loom::thread;

    use super::{MonitorParker, NEVER};
    use crate::queue::Inbox;

    #[test]
    fn model_a_worker_that_wakes_up_is_seen_or_sets_the_alarm() {
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
                assert!(!sleeps || shared.0.alarm.is_set_to() == 10, "nobody watches the worker");
                if let Some(notifier) = notifier {
                    notifier.join().unwrap();
                }
            });
        }
    }

    #[test]
    fn model_the_alarm_goes_off_at_the_earliest_of_all_times() {
        for own in [5, 15, 30, NEVER] {
            loom::model(move || {
                let monitor_parker = Arc::new(MonitorParker::new(Instant::now()).unwrap());
                let callers = [10, 20].map(|by| {
                    let monitor_parker = Arc::clone(&monitor_parker);
                    thread::spawn(move || monitor_parker.unpark_by(|| by))
                });
                // A caller before the monitor's fence may have found it awake: then there was something to see.
                let sleeps = monitor_parker.begin_sleep(own, || true);
                callers.into_iter().for_each(|caller| caller.join().unwrap());
                let at = monitor_parker.wakes_at.load(super::Ordering::Relaxed);
                assert!(sleeps && at <= own);
                assert_eq!(
                    monitor_parker.alarm.is_set_to(),
                    at,
                    "the alarm is not set to the time in the word"
                );
            });
        }
    }

    #[test]
    fn model_an_alarm_that_is_put_off_is_set_to_the_time_in_the_word() {
        loom::model(|| {
            let monitor_parker = Arc::new(MonitorParker::new(Instant::now()).unwrap());
            monitor_parker.let_put_off(50);
            let theirs = Arc::clone(&monitor_parker);
            let caller = thread::spawn(move || theirs.unpark_by(|| 10));
            let theirs = Arc::clone(&monitor_parker);
            let passing = thread::spawn(move || theirs.put_off(5, 20, || 30));
            let sleeps = monitor_parker.begin_sleep(20, || true);
            [caller, passing].into_iter().for_each(|thread| thread.join().unwrap());
            let at = monitor_parker.wakes_at.load(super::Ordering::Relaxed);
            // Who must be looked at sooner than the others is among those by which `to` is reckoned.
            assert!(sleeps && [10, 20, 30].contains(&at));
            assert_eq!(monitor_parker.alarm.is_set_to(), at, "the alarm is not set to the time in the word");
        });
    }
}
