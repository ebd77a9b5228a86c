//! The time until which a call of C waits, on one of the kernel's clocks.

#![expect(unsafe_code, reason = "reads a clock, and the times that callers point to")]

use std::ffi::c_int;
use std::time::{Duration, Instant};

use abaca::hook::{self, Sleep, Slept};
use libc::{CLOCK_MONOTONIC, CLOCK_REALTIME, EINVAL, clockid_t, timespec};

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// For ever.
    Never,
    /// Until a clock shows a time.
    Clock(clockid_t, timespec),
    /// Until an instant: of a call that waits for a duration.
    Instant(Instant),
}

/// Whether a time has as many nanoseconds as a second may have.
pub(crate) fn is_valid(time: &timespec) -> bool {
    (0..1_000_000_000).contains(&time.tv_nsec)
}

/// A duration that a caller gave; one before now is zero.
pub(crate) fn duration(time: &timespec) -> Duration {
    Duration::new(time.tv_sec.try_into().unwrap_or(0), if time.tv_sec < 0 { 0 } else { time.tv_nsec as u32 })
}

/// The time that a clock shows.
pub(crate) fn now(clock: clockid_t) -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes a local. A clock that it does not have was refused before.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now
}

/// The time of `time` as seen from `now`; zero if it has passed.
pub(crate) fn left(now: &timespec, time: &timespec) -> Duration {
    if time.tv_sec < 0 {
        return Duration::ZERO;
    }
    duration(time).saturating_sub(duration(now))
}

impl Until {
    /// Until `clock` shows the time at `time`.
    ///
    /// # Errors
    ///
    /// * `EINVAL`: it is no time.
    ///
    /// # Safety
    ///
    /// The time can be read.
    pub(crate) unsafe fn clock(clock: clockid_t, time: *const timespec) -> Result<Self, c_int> {
        // SAFETY: the caller's promise.
        let time = unsafe { *time };
        if is_valid(&time) { Ok(Self::Clock(clock, time)) } else { Err(EINVAL) }
    }

    /// [`clock`](Self::clock), for one of the two clocks that pthread's functions take.
    ///
    /// # Errors
    ///
    /// * `EINVAL`: it is another clock, or no time.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn lock_clock(clock: clockid_t, time: *const timespec) -> Result<Self, c_int> {
        match clock {
            // SAFETY: the caller's promise.
            CLOCK_REALTIME | CLOCK_MONOTONIC => unsafe { Self::clock(clock, time) },
            _ => Err(EINVAL),
        }
    }

    /// As a deadline of the runtime's; `None` is for ever, also for a time that no clock will reach.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Never => None,
            // The clock first, so that the deadline is not too soon.
            Self::Clock(clock, time) => {
                let left = left(&now(*clock), time);
                Instant::now().checked_add(left)
            }
            Self::Instant(at) => Some(*at),
        }
    }

    pub(crate) fn has_passed(&self) -> bool {
        match self {
            Self::Never => false,
            Self::Clock(clock, time) => left(&now(*clock), time).is_zero(),
            Self::Instant(at) => Instant::now() >= *at,
        }
    }

    /// Sleeps until this time, or less if a clock was set back meanwhile.
    pub(crate) fn sleep(&self) -> Slept {
        hook::sleep_until(self.deadline())
    }

    /// [`hook::sleep_at`], not to be cancelled, until this time. A clock that was set back meanwhile is waited for.
    #[inline]
    pub(crate) fn sleep_at(
        &self,
        address: usize,
        bits: u32,
        is_overtaken: bool,
        stay: impl FnMut() -> bool,
        then: impl FnMut(),
    ) -> Slept {
        self.sleep_by((address, bits, is_overtaken), stay, then, |sleep, stay, then| {
            hook::sleep_at(sleep, stay, then)
        })
    }

    /// The same, of a call that no handler ends: what is sent to the caller ends the sleep, after its handlers have run.
    #[inline]
    pub(crate) fn sleep_or_handle_at(
        &self,
        address: usize,
        bits: u32,
        is_overtaken: bool,
        stay: impl FnMut() -> bool,
        then: impl FnMut(),
    ) -> Slept {
        self.sleep_by((address, bits, is_overtaken), stay, then, |sleep, stay, then| {
            hook::sleep_or_handle_at(sleep, stay, then)
        })
    }

    #[inline]
    fn sleep_by<S: FnMut() -> bool, T: FnMut()>(
        &self,
        (address, bits, is_overtaken): (usize, u32, bool),
        mut stay: S,
        mut then: T,
        sleep_at: impl Fn(Sleep, &mut S, &mut T) -> Slept,
    ) -> Slept {
        loop {
            let deadline = self.deadline();
            let sleep = Sleep { address, bits, deadline, is_cancellable: false, is_overtaken };
            match sleep_at(sleep, &mut stay, &mut then) {
                Slept::TimedOut if !self.has_passed() => {}
                slept => return slept,
            }
        }
    }
}
