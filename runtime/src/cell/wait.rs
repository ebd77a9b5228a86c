//! The header's record of its fiber's current wait: the reason, and for how many rounds of the worker's scavenger it lasts.
//!
//! Both are one value, so that setting the reason resets the rounds at no cost.

use super::Reason;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
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
    #[inline(always)]
    pub(super) fn begun(reason: Reason) -> Self {
        Self { reason, age: Age::New }
    }

    pub(super) fn reason(self) -> Reason {
        self.reason
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
        let mut wait = Wait::begun(Reason::Park);
        for expected in [Due::NextRound, Due::Now, Due::Not, Due::Not] {
            let (next, due) = wait.after_round();
            assert_eq!((due, next.reason()), (expected, Reason::Park));
            wait = next;
        }
        assert_eq!(Wait::begun(Reason::None).after_round().1, Due::Not, "the fiber runs, or is about to");
    }
}
