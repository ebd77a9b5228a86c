//! A fiber that is suspended while it unwinds, in a destructor that blocks, takes its panics with it.
//!
//! To std, unwinding is a property of the thread. So that [`std::thread::panicking`] tells each fiber about itself, the thread's
//! panic count is taken before the switch, and restored after it (`panic_count.rs`). A neighbour is then cancelled, waits and
//! poisons as if it were alone.
//!
//! A fiber with thread-local storage of its own has its own count, and needs none of this.
//!
//! This needs a thread once. If none can be created, the panics stay on the thread: until the unwinding fiber has gone on, its
//! neighbours on the worker look as if they unwound. A wait that begins meanwhile is not cancelled, but by a scope that was entered
//! meanwhile: an unwinding to another would abort the process if it is the unwinding fiber that waits.

use std::cell::Cell;

use abaca_asm::coroutine::{Carrier, set_carrier};

use super::{Worker, panic_count};
use crate::cell::{Flags, Header};

/// See the module's documentation.
#[derive(Default)]
pub(in crate::scheduler) struct Unwinding {
    /// The number of suspended fibers whose panics are still counted on the thread, or that began to wait beside such a fiber.
    left_behind: Cell<usize>,
}

/// Makes coroutines that are suspended while they unwind take their panics with them as well, on all threads.
pub(in crate::scheduler) fn carry_panics_of_coroutines() {
    // Without unwinding a panic ends the process.
    if !cfg!(panic = "abort") {
        set_carrier(Carrier { take: panic_count::take, restore: panic_count::restore });
    }
}

impl Worker {
    /// Calls `suspend`, which suspends the current fiber while it unwinds. The fiber stays on this worker until `suspend`
    /// returns, even if it roams.
    #[cold]
    pub(crate) fn suspend_unwinding(&self, me: &Header, suspend: impl FnOnce()) {
        if !me.thread_pointer().is_null() {
            // Its panics are counted in its own storage.
            return suspend();
        }
        let was_pinned = me.has(Flags::PINNED);
        me.set_flag(Flags::PINNED);
        match self.take_panics() {
            Some(taken) => {
                suspend();
                panic_count::restore(taken);
            }
            None => {
                let left_behind = &self.unwinding.left_behind;
                left_behind.set(left_behind.get() + 1);
                suspend();
                left_behind.set(left_behind.get() - 1);
            }
        }
        if !was_pinned {
            me.unset_flag(Flags::PINNED);
        }
    }

    /// Takes the current fiber's panics off the thread. `None` if they cannot be told from a neighbour's.
    fn take_panics(&self) -> Option<usize> {
        // Without unwinding a panic ends the process, and it is the panic hook that waits meanwhile.
        if cfg!(panic = "abort") || self.unwinding.left_behind.get() != 0 {
            return None;
        }
        panic_count::take()
    }
}
