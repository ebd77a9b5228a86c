//! A moment from which times are counted in nanoseconds, by the clock of [`Instant`].
//!
//! To read the clock as a number takes a third of the instructions of an [`Instant`] and a subtraction. What the two say differs by
//! what lay between two looks when the epoch was made: the number may be that much behind, and is never ahead. So a
//! deadline that has passed by the number has passed by std's clock.

#![expect(unsafe_code, reason = "clock_gettime(2) takes a pointer")]

use std::time::Instant;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    instant: Instant,
    /// When that was, or a moment afterwards.
    ns: u64,
}

/// An interrupt may come between two looks, but not each time.
const TRIES: usize = 4;

impl Epoch {
    /// The present.
    pub(crate) fn new() -> Self {
        Self::with_delay().0
    }

    /// The present, and by how many nanoseconds it is late at the most.
    fn with_delay() -> (Self, u64) {
        let look = || {
            let (before_ns, instant, ns) = (monotonic_ns(), Instant::now(), monotonic_ns());
            (Self { instant, ns }, ns - before_ns)
        };
        (1..TRIES).map(|_| look()).fold(look(), |best, other| if other.1 < best.1 { other } else { best })
    }

    /// The same moment as an [`Instant`].
    pub(crate) fn instant(&self) -> Instant {
        self.instant
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(self.ns)
    }

    /// Nanoseconds from the epoch to `at`. Saturates after some 584 years.
    pub(crate) fn ns_at(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.instant).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The monotonic clock, of which std's [`Instant`] is a reading.
#[inline]
fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes to a live local. It cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_never_ahead_of_stds_clock_and_hardly_behind() {
        let (epoch, delay_ns) = Epoch::with_delay();
        for _ in 0..1_000 {
            let before = Instant::now();
            let ns = epoch.now_ns();
            let after = Instant::now();
            assert!(ns <= epoch.ns_at(after), "{ns}");
            assert!(ns + delay_ns >= epoch.ns_at(before), "{ns} {delay_ns}");
        }
        assert_eq!(epoch.ns_at(epoch.instant()), 0);
    }
}
