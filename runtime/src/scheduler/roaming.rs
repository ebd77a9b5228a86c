//! The started fibers that roam: one list for the runtime, since no worker keeps them.

#![expect(unsafe_code, reason = "an intrusive list of cells")]

use std::ptr::NonNull;

use crate::cell::{Header, LiveList};
use crate::queue::SpinLock;

#[derive(Debug)]
pub(crate) struct RoamingList(SpinLock<LiveList>);

impl RoamingList {
    pub(super) fn new() -> Self {
        Self(SpinLock::new(LiveList::new()))
    }

    /// Enters a fiber that is about to start.
    pub(super) fn insert(&self, fiber: NonNull<Header>) {
        // SAFETY: alive and in no list; taken out by `remove` before it is freed.
        unsafe { self.0.lock().insert(fiber) };
    }

    /// Takes out a fiber that has ended.
    pub(super) fn remove(&self, fiber: NonNull<Header>) {
        // SAFETY: entered by `insert`.
        unsafe { self.0.lock().remove(fiber) };
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Calls `visit` for each member while none can end.
    pub(super) fn for_each(&self, visit: impl FnMut(&Header)) {
        self.0.lock().for_each(visit);
    }
}
