//! The queue of callbacks that are still to be called after a promise has been resolved.
//!
//! A callback that resolves another promise puts that one's callbacks at the end of the queue instead of calling them,
//! so a chain of any length is walked on one stack frame. The queue belongs to the call that resolved the first
//! promise, and is empty when that call returns.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::error::Error;
use crate::cancel::Cancelled;

type Job = Box<dyn FnOnce(&mut CallbackQueue)>;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct CallbackQueue {
    jobs: VecDeque<Job>,
    /// The payload if the caller was cancelled inside of a callback: it unwinds with it after the other callbacks.
    cancelled: Option<Box<dyn Any + Send>>,
    /// The first panic of what is not a callback but foreign all the same, such as a waker.
    panicked: Option<Box<dyn Any + Send>>,
}

impl CallbackQueue {
    /// Calls `begin`, then the jobs that it has queued, and those that they queue, in order.
    pub(super) fn run<R>(begin: impl FnOnce(&mut Self) -> R) -> R {
        let mut queue = Self::default();
        let result = begin(&mut queue);
        while let Some(job) = queue.jobs.pop_front() {
            job(&mut queue);
        }
        let mut payloads = [queue.cancelled, queue.panicked].into_iter().flatten();
        let first = payloads.next();
        payloads.for_each(drop_payload);
        match first {
            // In a destructor that runs because of a panic, a second one would abort.
            Some(payload) if std::thread::panicking() => drop_payload(payload),
            Some(payload) => resume_unwind(payload),
            None => {}
        }
        result
    }

    pub(super) fn push(&mut self, job: impl FnOnce(&mut Self) + 'static) {
        self.jobs.push_back(Box::new(job));
    }

    /// Calls what must not keep the callbacks after it from being called. The caller of [`run`](Self::run) gets the first panic.
    pub(super) fn call_guarded(&mut self, callback: impl FnOnce(&mut Self)) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| callback(self))) {
            if Cancelled::is_own(&*payload) {
                self.cancelled = Some(payload);
            } else if self.panicked.is_none() {
                self.panicked = Some(payload);
            } else {
                drop_payload(payload);
            }
        }
    }

    /// Calls a user's callback; its panic becomes an error.
    pub(super) fn call<R>(&mut self, callback: impl FnOnce() -> R) -> Result<R, Error> {
        catch_unwind(AssertUnwindSafe(callback)).map_err(|payload| {
            let error = Error::of_panic(&*payload);
            if Cancelled::is_own(&*payload) {
                self.cancelled = Some(payload);
            } else {
                drop_payload(payload);
            }
            error
        })
    }
}

/// Drops what nobody gets. Its destructor is the user's, and so is what that panics with, which is leaked.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(payload);
    }
}
