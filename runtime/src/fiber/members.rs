//! The running fibers of a scope, so that they can be cancelled together.

#![expect(unsafe_code, reason = "holds the headers of fibers that are registered")]

use std::ptr::NonNull;

use crate::cell::{Fiber, Header};
use crate::queue::SpinLock;
use crate::scheduler::{self, cancel};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Members(SpinLock<Roll>);

#[derive(Debug, Default)]
struct Roll {
    cancelled: bool,
    /// By place; `None` where one has become free.
    fibers: Vec<Option<NonNull<Header>>>,
    free: Vec<usize>,
}

// SAFETY: a header is used only under the lock, which its fiber needs to leave the roll before it ends.
unsafe impl Send for Roll {}

/// The calling fiber is on the roll while this lives.
struct Place<'a> {
    members: &'a Members,
    place: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut roll = self.members.0.lock();
        roll.fibers[self.place] = None;
        roll.free.push(self.place);
    }
}

impl Members {
    /// Calls `f` with the calling fiber on the roll; if the members have been cancelled, so is the caller.
    pub(crate) fn with_me<R>(&self, f: impl FnOnce() -> R) -> R {
        let me = scheduler::current_fiber().expect("a scoped fiber is one");
        let (place, cancelled) = {
            let mut roll = self.0.lock();
            let place = roll.free.pop().unwrap_or_else(|| {
                roll.fibers.push(None);
                roll.fibers.len() - 1
            });
            roll.fibers[place] = Some(me);
            (Place { members: self, place }, roll.cancelled)
        };
        if cancelled {
            // SAFETY: the caller is this fiber.
            unsafe { me.as_ref() }.request_cancellation();
        }
        let result = f();
        drop(place);
        result
    }

    /// Cancels the members, and those that will come.
    pub(crate) fn cancel(&self) {
        let fibers: Vec<Fiber> = {
            let mut roll = self.0.lock();
            roll.cancelled = true;
            let handle = |header: &NonNull<Header>| {
                // SAFETY: it is on the roll, so it cannot end before we release the lock.
                let fiber = unsafe { header.as_ref() }.identity();
                fiber.identity().aim(*header);
                fiber
            };
            roll.fibers.iter().flatten().map(handle).collect()
        };
        fibers.iter().for_each(cancel::cancel);
    }
}
