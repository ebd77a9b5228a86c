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
    /// The caller's turn in which it has let others run.
    static LAST: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Lets those run whom the caller has just woken, if it has waited since it let others run the last time. It must be in a hook, and where it
/// may be parked.
pub fn let_woken_run() {
    if turn() != LAST.get() {
        yield_now();
        LAST.set(turn());
    }
}

/// The caller's turn, as its worker counts them: a number that does not come again. What is left of a tick's picks would: where time slices are
/// long, a tick has one.
fn turn() -> Option<u64> {
    Some(scheduler::current_worker()?.turn())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn each_turn_of_a_fiber_has_a_number_of_its_own() {
        const TURNS: usize = 1000;
        // Not here, if this machine or build has no storage for fibers.
        let Ok(runtime) = Runtime::builder().workers(1).own_tls(true).build() else { return };
        runtime.run(|| {
            let turns: HashSet<_> = (0..TURNS)
                .map(|_| {
                    yield_now();
                    assert_eq!(turn(), turn());
                    turn().expect("a fiber")
                })
                .collect();
            assert_eq!(turns.len(), TURNS);
        });
    }
}
