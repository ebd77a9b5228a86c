//! Unstarted fibers for which there is no stack: their closures are dropped, and their joins return the error.
//!
//! A closure's destructor is foreign code, which may park, wait for a lock, wake a fiber or panic. In the hub it would block
//! the worker, and perhaps the very fiber that it waits for. So the fiber starts in any case, only to drop its closure. It runs on
//! a stack of the default size, if it wanted another size, or else on the worker's **reserve**, a stack that was set aside when
//! the runtime was built and is used for nothing else. While the reserve is in use, other such fibers wait for it, or for the
//! end of any other fiber of the worker.
//!
//! None of them waits for ever: the reserve is in use only while a fiber on it drops a closure. When that fiber ends it enters
//! the hub, which takes the stack back before it starts anything else (`Worker::stop_after_this`). If a destructor itself
//! waits for the destructor of a fiber that waits behind it, only the end of another fiber can help.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;

use abaca_asm::stack::Stack;

use super::worker::{Request, Worker};
use crate::cell::Header;

/// The refusals of one worker; see the module's documentation.
#[derive(Default)]
pub(super) struct Refusals {
    reserve: Cell<Option<Stack>>,
    /// The unstarted fibers that wait for a stack, with the reason why they got none of their own.
    waiting: RefCell<VecDeque<(NonNull<Header>, io::Error)>>,
    /// The reason why the fiber that is just being started is refused.
    reason: Cell<Option<io::Error>>,
    /// Whether the reserve is in use: only then may fibers wait.
    is_out: Cell<bool>,
}

impl Refusals {
    /// Sets the reserve aside. Must be called before the worker's thread runs.
    pub(super) fn set_reserve(&self, stack: Stack) {
        self.reserve.set(Some(stack));
    }

    pub(super) fn set_reason(&self, reason: io::Error) {
        self.reason.set(Some(reason));
    }

    /// The reason from [`set_reason`](Self::set_reason), for the fiber that was started with it.
    pub(super) fn take_reason(&self) -> io::Error {
        self.reason.take().expect("a fiber is refused with a reason")
    }
}

impl Worker {
    /// Starts a fiber that got no stack, to drop its closure, and returns the request to the hub that follows. `None` if the fiber
    /// has to wait.
    #[cold]
    pub(super) fn refuse(&self, unstarted: NonNull<Header>, reason: io::Error) -> Option<Request> {
        let Some(stack) = self.default_stack().ok().or_else(|| self.reserve()) else {
            self.refusals.waiting.borrow_mut().push_back((unstarted, reason));
            return None;
        };
        Some(self.resume_refused(unstarted, reason, stack))
    }

    /// [`refuse`](Self::refuse) for the next fiber that waits, if there is one and a stack for it. To be called after each fiber.
    #[inline]
    pub(super) fn refuse_next(&self) -> Option<Request> {
        if self.refusals.is_out.get() { self.refuse_waiting() } else { None }
    }

    #[cold]
    fn refuse_waiting(&self) -> Option<Request> {
        if self.tick_is_up() {
            self.check_everything();
        }
        let stack = self.cached_stack()?;
        let Some((unstarted, reason)) = self.refusals.waiting.borrow_mut().pop_front() else {
            self.refusals.reserve.set(Some(stack));
            self.refusals.is_out.set(false);
            return None;
        };
        Some(self.resume_refused(unstarted, reason, stack))
    }

    fn reserve(&self) -> Option<Stack> {
        let stack = self.refusals.reserve.take()?;
        self.refusals.is_out.set(true);
        Some(stack)
    }
}
