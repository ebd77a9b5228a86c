//! What the header keeps of the blocking call that its fiber is in: why it waits, and for how many rounds of its worker's
//! tidying.
//!
//! Both are one value, so that a call which sets the first resets the second at no cost.

use super::Reason;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    reason: Reason,
    rest: Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// No round has come by.
    Begun,
    /// One has.
    Seen,
    /// At least two have: what lies below the fiber's frames has gone.
    Bare,
}

/// When the memory below the frames of a fiber is due to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has gone, or the fiber does not wait. When it waits again, its worker's next round comes by.
    Not,
    NextRound,
    Now,
}

impl Wait {
    #[inline(always)]
    pub(super) fn begun(reason: Reason) -> Self {
        Self { reason, rest: Rest::Begun }
    }

    pub(super) fn reason(self) -> Reason {
        self.reason
    }

    /// A round has come by.
    pub(super) fn after_a_round(self) -> (Self, Due) {
        let (rest, due) = match (self.reason, self.rest) {
            (Reason::None, rest) => (rest, Due::Not),
            (_, Rest::Begun) => (Rest::Seen, Due::NextRound),
            (_, Rest::Seen) => (Rest::Bare, Due::Now),
            (_, Rest::Bare) => (Rest::Bare, Due::Not),
        };
        (Self { rest, ..self }, due)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_once_in_the_second_round_of_a_wait() {
        let mut wait = Wait::begun(Reason::Park);
        for expected in [Due::NextRound, Due::Now, Due::Not, Due::Not] {
            let (next, due) = wait.after_a_round();
            assert_eq!((due, next.reason()), (expected, Reason::Park));
            wait = next;
        }
        assert_eq!(Wait::begun(Reason::None).after_a_round().1, Due::Not, "it runs, or is about to");
    }
}
