//! Wake-ups by who has released a lock, of those who have slept for it.
//!
//! Locks of libc's do not queue: who releases one may take it again before those run whom it has woken. On threads of the
//! kernel they win now and then, since a wake-up there is a system call. A fiber that goes on at once, takes the lock, and waits for something
//! else while it has it, would keep them out for ever. So it lets them run first. It need not do so again before it has waited: without
//! waits it comes to an end, or is taken its worker.

use std::cell::Cell;

use super::yield_now;
use crate::scheduler;

thread_local! {
    /// The caller's turn in which it has let others run. One that is taken for another costs one wake-up its fairness.
    static LAST: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Lets those run whom the caller has just woken, if it has waited since it let others run the last time. It must be in a hook, and where it
/// may be parked.
pub fn let_woken_run() {
    if turn() != LAST.get() {
        yield_now();
        LAST.set(turn());
    }
}

/// The caller's turn: it changes whenever the caller is suspended.
fn turn() -> Option<u32> {
    let worker = scheduler::current_worker()?;
    Some(worker.slice_of(scheduler::fiber_on(worker)?).1)
}
