//! Something that is to happen at regular times.

use std::time::{Duration, Instant};

use super::sleep_until;

/// As late as makes no difference: thirty years, as tokio has it. For times beyond the clock's range.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// What an [`Interval`] does when a tick was taken late. The names are tokio's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// The ticks that were missed follow at once, until the original times are caught up with.
    #[default]
    Burst,
    /// The next tick comes one period after the late one, and so on from there.
    Delay,
    /// The ticks that were missed are left out; the next one comes at the next original time.
    Skip,
}

/// Regular ticks, made by [`interval`] or [`interval_at`].
///
/// Also an endless iterator over the times of the ticks.
#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
    behavior: MissedTickBehavior,
}

/// An interval whose first tick comes at once and the others every `period`, which may be as long as [`Duration::MAX`]: a tick
/// beyond the clock's range never comes.
///
/// # Panics
///
/// If `period` is zero.
///
/// ```
/// use std::time::Duration;
/// # abaca::run(|| {
/// let mut interval = abaca::time::interval(Duration::from_millis(1));
/// let first = interval.tick();
/// assert!(interval.tick() >= first + Duration::from_millis(1));
/// # });
/// ```
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// An interval whose first tick comes at `start` and the others every `period` after.
///
/// # Panics
///
/// If `period` is zero.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval is more than zero");
    Interval { next: start, period, behavior: MissedTickBehavior::default() }
}

impl Interval {
    /// Blocks until the next tick is due; returns the time for which it was due.
    ///
    /// If the call is cancelled, the tick is not lost: it comes at the next call.
    pub fn tick(&mut self) -> Instant {
        sleep_until(self.next);
        let now = Instant::now();
        let due = self.next;
        self.next = self.after(due, now);
        due
    }

    /// The tick after `due`, which was taken at `now`.
    fn after(&self, due: Instant, now: Instant) -> Instant {
        let is_late = now.checked_duration_since(due).is_some_and(|late| late >= self.period);
        match self.behavior {
            MissedTickBehavior::Delay if is_late => later(now, self.period),
            MissedTickBehavior::Skip if is_late => {
                let since = now.duration_since(due).as_nanos() % self.period.as_nanos();
                later(now, self.period - Duration::from_nanos_u128(since))
            }
            _ => later(due, self.period),
        }
    }

    /// The next tick comes one period from now.
    pub fn reset(&mut self) {
        self.next = later(Instant::now(), self.period);
    }

    /// The next tick comes at once.
    pub fn reset_immediately(&mut self) {
        self.next = Instant::now();
    }

    /// The next tick comes `after` from now.
    pub fn reset_after(&mut self, after: Duration) {
        self.next = later(Instant::now(), after);
    }

    /// The next tick comes at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.next = deadline;
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens when a tick was taken late.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets what happens when a tick was taken late.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use abaca::time::{MissedTickBehavior, interval_at};
    /// # abaca::run(|| {
    /// let period = Duration::from_secs(10);
    /// let start = Instant::now() - 35 * period / 10; // three and a half periods ago
    /// let mut interval = interval_at(start, period);
    /// interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    /// assert_eq!(interval.tick(), start);
    /// let soon = abaca::time::timeout(Duration::ZERO, || interval.tick());
    /// assert!(soon.is_err(), "the next one is due at the fourth period");
    /// # });
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}

/// `at + by`; if the clock ends before, a time that is far off all the same.
fn later(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).or_else(|| Instant::now().checked_add(FAR)).unwrap_or(at)
}

impl Iterator for Interval {
    type Item = Instant;

    /// Never `None`.
    fn next(&mut self) -> Option<Instant> {
        Some(self.tick())
    }
}
