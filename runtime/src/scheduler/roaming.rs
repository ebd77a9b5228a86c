//! The list of started roaming fibers: one for the runtime, since they belong to no worker.

#![expect(unsafe_code, reason = "an intrusive list of cells")]

use std::ptr::NonNull;

use crate::cell::{Header, LiveList};
use crate::queue::SpinLock;

#[derive(Debug)]
pub(crate) struct RoamingList(SpinLock<LiveList>);

impl RoamingList {
    /// Where the address of the first member is; for debuggers.
    pub(super) const FIRST: usize = SpinLock::<LiveList>::VALUE + LiveList::FIRST;

    pub(super) fn new() -> Self {
        Self(SpinLock::new(LiveList::new()))
    }

    /// Inserts a fiber that is about to start.
    pub(super) fn insert(&self, fiber: NonNull<Header>) {
        // SAFETY: alive and in no list; taken out by `remove` before it is freed.
        unsafe { self.0.lock().insert(fiber) };
    }

    /// Removes a fiber that has ended.
    pub(super) fn remove(&self, fiber: NonNull<Header>) {
        // SAFETY: inserted by `insert`.
        unsafe { self.0.lock().remove(fiber) };
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// How many fibers were ever removed.
    pub(super) fn removed(&self) -> u64 {
        self.0.lock().counts().1
    }

    /// Calls `visit` for each fiber in the list. None of them can end meanwhile.
    pub(super) fn for_each(&self, visit: impl FnMut(&Header)) {
        self.0.lock().for_each(visit);
    }
}
