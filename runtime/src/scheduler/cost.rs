//! What a call takes of the budget.

/// What kind of call it is, and so what it takes of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// A call that may wait, and need not: whoever makes it is prepared for others to run.
    Wait,
    /// A call that never waits: it may be made with a lock of std's held, or a `RefCell` borrowed.
    Call,
    /// A system call that did not block.
    InputOutput,
    /// A call that never waits, and found nothing: in a loop it waits for a neighbour.
    InVain,
    /// System calls that never wait and take microseconds: they make a socket or a pipe.
    Making,
    /// A call that makes more tasks than others keep up with. When the budget is spent they get the rest of a tick.
    Surplus,
}

impl Cost {
    #[inline(always)]
    pub(super) const fn units(self) -> i32 {
        match self {
            Self::Wait | Self::Call => 1,
            Self::InputOutput => 2,
            Self::Surplus => 3,
            Self::InVain => 4,
            Self::Making => 16,
        }
    }
}
