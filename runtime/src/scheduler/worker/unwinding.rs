//! A fiber that is suspended while it unwinds, in a destructor that blocks, takes its panics with it.
//!
//! To std, unwinding is a fact of the thread. So that [`std::thread::panicking`] tells each fiber about itself, what the
//! thread has counted is taken off it before the switch, and put on again after (`ballast.rs`). A neighbour is then
//! cancelled, waits and poisons as if it were alone.
//!
//! This needs a thread once, and if none can be had, the panics stay where they are: until that fiber has gone on, its
//! neighbours on the worker look as if they unwound. What begins to wait meanwhile is then not cancelled, for a second
//! unwinding would abort if it is the unwinding fiber that waits.

use std::cell::Cell;

use abaca_asm::coroutine::{Carrier, set_carrier};

use super::{Worker, ballast};
use crate::cell::{Flags, Header};

/// See the module's documentation.
#[derive(Default)]
pub(in crate::scheduler) struct Unwinding {
    /// Suspended fibers whose panics are still counted as the thread's, or which began to wait beside such.
    standing: Cell<usize>,
}

/// From now on a coroutine that is suspended while it unwinds takes its panics with it as well, on all threads.
pub(in crate::scheduler) fn carry_panics_of_coroutines() {
    // Without unwinding a panic is the process's end.
    if !cfg!(panic = "abort") {
        set_carrier(Carrier { lift: ballast::lift, lower: ballast::lower });
    }
}

impl Worker {
    /// Calls `suspend`, which suspends the current fiber while it unwinds. The fiber stays on this worker until it
    /// returns, even if it roams.
    #[cold]
    pub(crate) fn suspend_unwinding(&self, me: &Header, suspend: impl FnOnce()) {
        let was_anchored = me.has(Flags::ANCHORED);
        me.set_flag(Flags::ANCHORED);
        match self.lift_panics() {
            Some(lifted) => {
                suspend();
                ballast::lower(lifted);
            }
            None => {
                let standing = &self.unwinding.standing;
                standing.set(standing.get() + 1);
                suspend();
                standing.set(standing.get() - 1);
            }
        }
        if !was_anchored {
            me.unset_flag(Flags::ANCHORED);
        }
    }

    /// Takes the current fiber's panics off the thread, unless they cannot be told from a neighbour's.
    fn lift_panics(&self) -> Option<usize> {
        // Without unwinding a panic is the process's end; what waits meanwhile is the panic hook.
        if cfg!(panic = "abort") || self.unwinding.standing.get() != 0 {
            return None;
        }
        ballast::lift()
    }
}
