//! Takes the place of `requests.rs` under loom: the same queue, each look at which may see an outdated state.
//!
//! Only its count orders anything, by Release and Acquire, which is less than crossbeam's queue promises.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::inspect::HubRequest;
use crate::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Requests {
    len: AtomicUsize,
    /// Never contended, since loom runs one thread at a time and nothing in its critical sections lets another run.
    requests: Mutex<VecDeque<HubRequest>>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { len: AtomicUsize::new(0), requests: Mutex::default() }
    }
}

impl Requests {
    pub(super) fn push(&self, request: HubRequest) {
        self.requests.lock().unwrap().push_back(request);
        self.len.fetch_add(1, Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn take(&self) -> Option<HubRequest> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.requests.lock().unwrap().pop_front()
    }
}
