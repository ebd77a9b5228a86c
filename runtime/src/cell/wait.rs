//! The header's record of its fiber's current wait: the reason, since when, and for how many rounds of the worker's scavenger it
//! lasts.
//!
//! They are one value, so that setting the reason resets the rounds at no cost.

#![expect(unsafe_code, reason = "reads records that may be none any more")]

use super::Reason;

/// A time of the processor's clock (`os/clock.rs`), in steps of some milliseconds. It comes round after some months.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CoarseTime(u32);

impl CoarseTime {
    /// 2^24 ticks are a step.
    const SHIFT: u32 = 24;

    /// The time at this count of ticks.
    #[inline(always)]
    pub(crate) fn at(ticks: u64) -> Self {
        Self((ticks >> Self::SHIFT) as u32)
    }

    /// How many ticks ago this was, at this count: a step more or less.
    pub(crate) fn ticks_until(self, ticks: u64) -> u64 {
        let steps = Self::at(ticks).0.wrapping_sub(self.0);
        // A worker's clock may be behind another's by a moment.
        let steps = if steps > u32::MAX / 2 { 0 } else { steps };
        u64::from(steps) << Self::SHIFT
    }
}

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    since: CoarseTime,
    reason: Reason,
    age: Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// No round has seen the wait.
    New,
    /// One round has.
    Seen,
    /// At least two have: the memory below the fiber's frames has been released.
    Released,
}

/// When to release the memory below the frames of a fiber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The memory has been released, or the fiber does not wait.
    Not,
    NextRound,
    Now,
}

impl Wait {
    /// Where the reason is; for debuggers.
    pub(super) const REASON: usize = std::mem::offset_of!(Self, reason);

    #[inline(always)]
    pub(super) fn begun(reason: Reason, since: CoarseTime) -> Self {
        Self { since, reason, age: Age::New }
    }

    pub(super) fn since(self) -> CoarseTime {
        self.since
    }

    pub(super) fn reason(self) -> Reason {
        self.reason
    }

    /// The number of the reason of a record whose bytes may be of something else.
    ///
    /// # Safety
    ///
    /// The bytes of a record can be read at `this`.
    pub(super) unsafe fn reason_of(this: *const Self) -> u8 {
        // SAFETY: the caller's promise; any byte is a number.
        unsafe { (&raw const (*this).reason).cast::<u8>().read() }
    }

    /// The time of a record, as [`reason_of`](Self::reason_of).
    ///
    /// # Safety
    ///
    /// As there.
    pub(super) unsafe fn since_of(this: *const Self) -> CoarseTime {
        // SAFETY: the caller's promise; any bytes are a time.
        unsafe { (&raw const (*this).since).read() }
    }

    /// The record after one more round, and what to do in it.
    pub(super) fn after_round(self) -> (Self, Due) {
        let (age, due) = match (self.reason, self.age) {
            (Reason::None, age) => (age, Due::Not),
            (_, Age::New) => (Age::Seen, Due::NextRound),
            (_, Age::Seen) => (Age::Released, Due::Now),
            (_, Age::Released) => (Age::Released, Due::Not),
        };
        (Self { age, ..self }, due)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_released_once_in_the_second_round_of_a_wait() {
        let mut wait = Wait::begun(Reason::Park, CoarseTime::default());
        for expected in [Due::NextRound, Due::Now, Due::Not, Due::Not] {
            let (next, due) = wait.after_round();
            assert_eq!((due, next.reason()), (expected, Reason::Park));
            wait = next;
        }
        assert_eq!(
            Wait::begun(Reason::None, CoarseTime::default()).after_round().1,
            Due::Not,
            "the fiber runs, or is about to"
        );
    }

    #[test]
    fn a_coarse_time_has_an_age_also_after_it_has_come_round() {
        let (step, round) = (1 << 24, 1 << 56);
        assert_eq!(CoarseTime::at(5 * step).ticks_until(5 * step + 9), 0);
        assert_eq!(CoarseTime::at(5 * step + 7).ticks_until(8 * step), 3 * step);
        assert_eq!(CoarseTime::at(round - step).ticks_until(round + step), 2 * step);
        assert_eq!(CoarseTime::at(8 * step).ticks_until(5 * step), 0, "a clock that is ahead");
    }
}
