//! The cost of a call, in units of the budget.

/// The most that is spent before the clock is read. Reading it takes as long as two or three calls.
#[cfg_attr(loom, allow(dead_code, reason = "models have no budget"))]
pub(super) const FULL: i32 = 128;

/// The kind of a call, which decides how much of the budget it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// A call that may wait and did not need to: its caller is prepared for others to run.
    Wait,
    /// A call that never waits: the caller may hold a lock of std, or have a `RefCell` borrowed.
    Call,
    /// A system call that did not block.
    SystemCall,
    /// A call that never waits and found nothing: a loop of them waits for a neighbour.
    TryFailed,
    /// A call that never waits and takes microseconds, since it makes a socket or a pipe.
    Making,
    /// A spawn beside more unstarted fibers than others keep up with. When the budget is spent they get the rest of a tick.
    Surplus,
}

impl Cost {
    #[inline(always)]
    pub(super) const fn units(self) -> i32 {
        match self {
            Self::Wait | Self::Call => 1,
            Self::SystemCall => 2,
            Self::Surplus => 3,
            Self::TryFailed => 4,
            Self::Making => 16,
        }
    }
}
