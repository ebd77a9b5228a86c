//! Tasks for which no stack can be had: their closures are dropped, and their joins return the error.
//!
//! A destructor of a closure is foreign code, which may park, wait for a lock, wake somebody or panic. In the hub it would stop
//! the worker, and perhaps the very fiber that it waits for. So the task starts all the same, only to drop its closure: on a
//! stack of the default size, if it was another that could not be had, or else on the worker's **reserve**, a stack that was
//! laid by when the runtime was built and is there for nothing else. While that is in use the others wait for it, or for the
//! end of any other fiber of the worker.
//!
//! Why none waits for ever: the reserve is out only while a fiber stands on it that drops a closure. When that ends it enters
//! the hub, which takes the stack back before it starts anything else (`Worker::stop_after_this`). A destructor that itself
//! waits for the destructor of a task that waits behind it has no other help than the end of another fiber.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;

use abaca_asm::stack::Stack;

use super::worker::{Request, Worker};
use crate::cell::Header;

/// A worker's; see the module's documentation.
#[derive(Default)]
pub(super) struct Refusals {
    reserve: Cell<Option<Stack>>,
    /// Tasks that wait for a stack, with why they got none of their own.
    waiting: RefCell<VecDeque<(NonNull<Header>, io::Error)>>,
    /// Why the task that is just being started is refused.
    reason: Cell<Option<io::Error>>,
    /// Whether the reserve is out: only then may somebody wait.
    is_out: Cell<bool>,
}

impl Refusals {
    /// Before the worker's thread runs.
    pub(super) fn lay_by(&self, stack: Stack) {
        self.reserve.set(Some(stack));
    }

    pub(super) fn set_reason(&self, reason: io::Error) {
        self.reason.set(Some(reason));
    }

    /// What [`set_reason`](Self::set_reason) was told, by the task that was started for it.
    pub(super) fn take_reason(&self) -> io::Error {
        self.reason.take().expect("a task is refused with a reason")
    }
}

impl Worker {
    /// Starts a task that got no stack, to drop its closure, and returns what is asked of the hub after; `None` if it has to wait.
    #[cold]
    pub(super) fn turn_away(&self, task: NonNull<Header>, reason: io::Error) -> Option<Request> {
        let Some(stack) = self.default_stack().ok().or_else(|| self.reserve()) else {
            self.refusals.waiting.borrow_mut().push_back((task, reason));
            return None;
        };
        Some(self.resume_refused(task, reason, stack))
    }

    /// [`turn_away`](Self::turn_away) for the next that waits, if there is one and a stack for it. After each fiber.
    #[inline]
    pub(super) fn turn_away_next(&self) -> Option<Request> {
        if self.refusals.is_out.get() { self.turn_away_waiting() } else { None }
    }

    #[cold]
    fn turn_away_waiting(&self) -> Option<Request> {
        if self.tick_is_up() {
            self.make_round();
        }
        let stack = self.cached_stack()?;
        let Some((task, reason)) = self.refusals.waiting.borrow_mut().pop_front() else {
            self.refusals.reserve.set(Some(stack));
            self.refusals.is_out.set(false);
            return None;
        };
        Some(self.resume_refused(task, reason, stack))
    }

    fn reserve(&self) -> Option<Stack> {
        let stack = self.refusals.reserve.take()?;
        self.refusals.is_out.set(true);
        Some(stack)
    }
}
