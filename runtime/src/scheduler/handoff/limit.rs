//! How many threads there may be beyond one a worker.
//!
//! A limit that nobody has set is lifted in a process whose threads are fibers, for those that wait in the kernel: each of them would have a thread without
//! abaca, and what they wait for may be done by the next. For those that compute it stays.

use crate::os::thread_state::{self, ThreadState};
use crate::pool;

/// The most threads, if nobody has said otherwise.
const MAX_SPARE_THREADS: usize = 256;

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

    /// Whether there may be one more all the same, for a worker whose thread, of this id, is stuck.
    pub(super) fn yields_to(self, thread_id: i32) -> bool {
        self.0.is_none() && pool::are_limits_lifted() && thread_state::of(thread_id) != ThreadState::Running
    }
}
