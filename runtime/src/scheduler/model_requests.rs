//! What `requests` is under loom: the same queue, whose every look may be the last moment's.
//!
//! It orders no more than the count does, by Release and Acquire, which is less than crossbeam's queue promises.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::atomic::{AtomicUsize, Ordering};
use crate::cell::Fiber;

#[derive(Debug)]
pub(super) struct Requests {
    len: AtomicUsize,
    /// Never contended, since loom runs one thread at a time and nothing in its critical sections lets another run.
    fibers: Mutex<VecDeque<Fiber>>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { len: AtomicUsize::new(0), fibers: Mutex::default() }
    }
}

impl Requests {
    pub(super) fn push(&self, fiber: Fiber) {
        self.fibers.lock().unwrap().push_back(fiber);
        self.len.fetch_add(1, Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn take(&self) -> Option<Fiber> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.fibers.lock().unwrap().pop_front()
    }
}
