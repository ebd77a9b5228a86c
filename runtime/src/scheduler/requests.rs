//! Which fibers a worker is asked to cancel: anybody asks, and the worker takes the requests in its hub.
//!
//! Under loom, `model_requests.rs` takes the place of this file.

use crossbeam_deque::Injector;

use crate::cell::Fiber;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Requests(Injector<Fiber>);

impl Requests {
    /// Asks. Whoever does wakes the worker afterwards.
    pub(super) fn push(&self, fiber: Fiber) {
        self.0.push(fiber);
    }

    /// Whether there is none, at a glance.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the oldest. It may find none although there is one; only its worker takes, so it then is not yet whole.
    pub(super) fn take(&self) -> Option<Fiber> {
        self.0.steal().success()
    }
}
