//! A worker's queue of requests: to cancel a fiber, or to show all fibers. Any thread pushes, and the worker takes them in its hub.
//!
//! Under loom, `model_requests.rs` takes the place of this file.

use crossbeam_deque::Injector;

use super::inspect::HubRequest;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Requests(Injector<HubRequest>);

impl Requests {
    /// Queues a request. The caller must then wake the worker.
    pub(super) fn push(&self, request: HubRequest) {
        self.0.push(request);
    }

    /// Whether no request is queued. A request that is just being pushed may be missed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the oldest request. It may miss a request whose push is not complete; nothing else makes it fail, since only
    /// the worker takes.
    pub(super) fn take(&self) -> Option<HubRequest> {
        self.0.steal().success()
    }
}
