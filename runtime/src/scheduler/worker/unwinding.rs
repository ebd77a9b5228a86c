//! Whether the current fiber unwinds, as far as that can be known.
//!
//! `std::thread::panicking` speaks of the thread: it is true while the running fiber unwinds, and also while any other
//! fiber of the thread is suspended in the middle of unwinding, in a destructor that blocks. So each fiber that is
//! suspended while the thread panics is counted. While the count is zero, what std says is the truth about the
//! running fiber. While it is not, nobody can know.
//!
//! Where that matters the cautious answer differs: a sleep or a read blocks the thread only if its own fiber
//! surely unwinds (a neighbour that blocked it could wait for a third fiber of the thread); a wait is exempt from
//! cancellation, which would unwind a second time, if its fiber may be unwinding, until the thread panics no more.

use std::cell::Cell;
use std::thread::panicking;

use super::Worker;
use crate::fiber::{Flags, Header};

/// See the module's documentation.
#[derive(Default)]
pub(in crate::scheduler) struct Unwinding {
    /// Fibers of this worker that were suspended while the thread panicked.
    suspended: Cell<usize>,
    /// Whether a wait was exempt since the worker last cancelled its fibers.
    exempt: Cell<bool>,
}

impl Worker {
    /// Whether the current fiber unwinds, and no other of this worker does.
    pub(in crate::scheduler) fn surely_unwinds(&self) -> bool {
        panicking() && self.unwinding.suspended.get() == 0
    }

    /// Calls `suspend`, which suspends the current fiber while the thread panics. The fiber stays on this worker until
    /// it returns, even if it roams: std counts panics per thread.
    #[cold]
    pub(in crate::scheduler) fn suspend_unwinding(&self, me: &Header, suspend: impl FnOnce()) {
        self.unwinding.suspended.set(self.unwinding.suspended.get() + 1);
        me.set_flag(Flags::ANCHORED);
        suspend();
        me.unset_flag(Flags::ANCHORED);
        self.unwinding.suspended.set(self.unwinding.suspended.get() - 1);
    }

    /// Notes that a wait is not to be cancelled for now.
    pub(in crate::scheduler) fn note_exempt(&self) {
        self.unwinding.exempt.set(true);
    }

    /// Whether such waits can be cancelled now; asked in the hub, and true once for each note.
    pub(in crate::scheduler) fn has_exempt_to_cancel(&self) -> bool {
        self.unwinding.exempt.get() && !panicking()
    }

    /// The worker is about to cancel its fibers, and notes anew whom it cannot.
    pub(in crate::scheduler) fn forget_exempt(&self) {
        self.unwinding.exempt.set(false);
    }
}
