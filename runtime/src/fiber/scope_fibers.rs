//! The running fibers of a scope, so that they can be cancelled together.
//!
//! Each registers itself when it starts and takes itself out before it ends, both under the lock. So a header that is found in
//! a slot while the lock is held is alive.

#![expect(unsafe_code, reason = "holds the headers of fibers that are registered")]

use std::ptr::NonNull;

use crate::cell::{Fiber, FiberId, Header};
use crate::queue::SpinLock;
use crate::scheduler::{self, cancel};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct ScopeFibers(SpinLock<Slots>);

#[derive(Debug, Default)]
struct Slots {
    cancelled: bool,
    /// `None` in a free slot.
    fibers: Vec<Option<NonNull<Header>>>,
    /// The indices of the free slots.
    free: Vec<usize>,
}

// SAFETY: a header is used only under the lock, which its fiber needs to take itself out before it ends.
unsafe impl Send for Slots {}

/// The calling fiber is registered while this lives.
struct Entry<'a> {
    fibers: &'a ScopeFibers,
    index: usize,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut slots = self.fibers.0.lock();
        slots.fibers[self.index] = None;
        slots.free.push(self.index);
    }
}

impl ScopeFibers {
    /// Calls `f` while the calling fiber is registered. If the scope has been cancelled, the caller is cancelled first.
    pub(crate) fn with_me<R>(&self, f: impl FnOnce() -> R) -> R {
        let me = scheduler::current_fiber().expect("a scoped fiber is one");
        let (entry, cancelled) = {
            let mut slots = self.0.lock();
            let index = slots.free.pop().unwrap_or_else(|| {
                slots.fibers.push(None);
                slots.fibers.len() - 1
            });
            slots.fibers[index] = Some(me);
            (Entry { fibers: self, index }, slots.cancelled)
        };
        if cancelled {
            // SAFETY: the caller is this fiber.
            unsafe { me.as_ref() }.request_cancellation();
        }
        let result = f();
        drop(entry);
        result
    }

    /// The addresses of the registered fibers' headers, with their ids if they have some. For dumps.
    pub(crate) fn list(&self) -> Vec<(usize, Option<FiberId>)> {
        let slots = self.0.lock();
        let of = |header: &NonNull<Header>| {
            // SAFETY: it is registered, so it cannot end before the lock is released.
            let identity = unsafe { header.as_ref() }.peek_identity();
            (header.addr().get(), identity.map(|identity| identity.id))
        };
        slots.fibers.iter().flatten().map(of).collect()
    }

    /// Cancels the registered fibers, and those that will register.
    pub(crate) fn cancel(&self) {
        let fibers: Vec<Fiber> = {
            let mut slots = self.0.lock();
            slots.cancelled = true;
            let handle = |header: &NonNull<Header>| {
                // SAFETY: it is registered, so it cannot end before the lock is released.
                let fiber = unsafe { header.as_ref() }.identity();
                fiber.identity().attach(*header);
                fiber
            };
            slots.fibers.iter().flatten().map(handle).collect()
        };
        fibers.iter().for_each(cancel::cancel);
    }
}
