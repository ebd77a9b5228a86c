//! How many threads there may be beyond one a worker.
//!
//! A limit that nobody has set is lifted in a process whose threads are fibers: each of them would have a thread without abaca, and what they wait for may
//! be done by the next. Those that wait in the kernel get one more at once. Those that compute may only be many, and then are done the sooner
//! the fewer run at once; or one waits for the next in a loop, and would for ever. So they get one more after a while.

use std::time::Duration;

use crate::os::thread_state::{self, ThreadState};
use crate::pool;

/// The most threads, if nobody has said otherwise.
const MAX_SPARE_THREADS: usize = 256;

/// For how long a worker stands still in a fiber that computes before there is one thread more than the limit: a few time slices of the kernel's.
const PATIENCE: Duration = Duration::from_millis(20);

/// See the module's documentation. The default is what nobody has set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpareLimit(Option<usize>);

impl SpareLimit {
    /// At most so many.
    pub(crate) fn of(threads: usize) -> Self {
        Self(Some(threads))
    }

    /// Whether there may be one more than `threads`.
    pub(super) fn allows(self, threads: usize) -> bool {
        threads < self.0.unwrap_or(MAX_SPARE_THREADS)
    }

    /// Whether there may be one more all the same, for a worker whose thread, of this id, has been stuck for so long.
    pub(super) fn yields_to(self, thread_id: i32, stuck_for: Duration) -> bool {
        pool::are_limits_lifted() && self.gives_way(stuck_for, || thread_state::of(thread_id))
    }

    /// The same of a limit that is lifted if nobody has set it.
    fn gives_way(self, stuck_for: Duration, state: impl FnOnce() -> ThreadState) -> bool {
        self.0.is_none() && (stuck_for >= PATIENCE || state() != ThreadState::Running)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_the_kernel_gets_a_thread_at_once_and_who_computes_after_a_while() {
        let limit = SpareLimit::default();
        assert!(limit.allows(MAX_SPARE_THREADS - 1) && !limit.allows(MAX_SPARE_THREADS));
        assert!(limit.gives_way(Duration::ZERO, || ThreadState::InCall(0)));
        assert!(!limit.gives_way(PATIENCE / 2, || ThreadState::Running));
        assert!(limit.gives_way(PATIENCE, || ThreadState::Running));
        assert!(!SpareLimit::of(1).gives_way(PATIENCE, || ThreadState::InCall(0)), "somebody has set it");
    }
}
