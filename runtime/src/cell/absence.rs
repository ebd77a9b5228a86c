//! Whether a fiber runs on a thread that its home has left, and whether it was woken meanwhile.
//!
//! One that is absent may be woken, since it may have registered a waiter before it found out. Its home, to which every wake-up is
//! delivered, must not queue it then. It notes the wake-up here. A wait has one wake-up, so one note is enough.

use std::cell::Cell;

/// See the module's documentation. For the home alone: its thread of the moment, or one that has taken it.
#[derive(Debug, Default)]
pub(crate) struct Absence(Cell<State>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// 0, for debuggers.
    #[default]
    Present,
    /// The fiber runs elsewhere, or has come back and has not gone on since.
    Absent,
    /// It is absent, and has been woken: it must not wait when it goes on.
    AbsentWoken,
}

impl Absence {
    #[inline(always)]
    pub(crate) fn is_absent(&self) -> bool {
        self.0.get() != State::Present
    }

    /// The home leaves the fiber, which runs.
    pub(crate) fn begin(&self) {
        debug_assert_eq!(self.0.get(), State::Present, "a fiber that is absent has no worker to lose");
        self.0.set(State::Absent);
    }

    /// Notes a wake-up, if the fiber is absent. Returns whether it is: then it must not be queued.
    #[inline(always)]
    pub(crate) fn notes_wakeup(&self) -> bool {
        let is_absent = self.is_absent();
        if is_absent {
            self.0.set(State::AbsentWoken);
        }
        is_absent
    }

    /// The fiber goes on, on its home's thread. Returns whether it has been woken meanwhile: then it is ready before it waits.
    pub(crate) fn end(&self) -> bool {
        self.0.replace(State::Present) == State::AbsentWoken
    }
}
