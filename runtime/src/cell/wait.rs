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
    /// The frames have been kept elsewhere, or could not be.
    Cold,
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
            (_, age @ (Age::Released | Age::Cold)) => (age, Due::Not),
        };
        (Self { age, ..self }, due)
    }

    /// Whether the fiber's frames are to be kept elsewhere: once in a wait that lasts for `after` at the time `now`, both in ticks. The
    /// record then says that they are.
    pub(super) fn after_cold_round(self, now: u64, after: u64) -> (Self, Due) {
        match (self.reason, self.age) {
            (Reason::None, _) | (_, Age::Cold) => (self, Due::Not),
            (_, Age::Released) if self.since.ticks_until(now) >= after => {
                (Self { age: Age::Cold, ..self }, Due::Now)
            }
            _ => (self, Due::NextRound),
        }
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
    fn frames_are_kept_elsewhere_once_in_a_long_wait() {
        let step = 1 << 24;
        let new = Wait::begun(Reason::Park, CoarseTime::at(5 * step));
        assert_eq!(
            new.after_cold_round(100 * step, step).1,
            Due::NextRound,
            "no round has released the rest"
        );
        let released = new.after_round().0.after_round().0;
        assert_eq!(released.after_cold_round(7 * step, 3 * step).1, Due::NextRound);
        let (cold, due) = released.after_cold_round(8 * step, 3 * step);
        assert_eq!((due, cold.after_cold_round(9 * step, 0).1), (Due::Now, Due::Not));
        assert_eq!(cold.after_round().0.after_cold_round(9 * step, 0).1, Due::Not);
        assert_eq!(
            Wait::begun(Reason::None, CoarseTime::default()).after_cold_round(9 * step, 0).1,
            Due::Not
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
