//! The agenda: what is left to call after a promise has been resolved.
//!
//! A callback that resolves another promise puts that one's callbacks at the end of the agenda instead of calling them,
//! so a chain of any length is walked on one stack frame. The agenda belongs to the call that resolved the first
//! promise, and is empty when that call returns.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::error::Error;
use crate::cancel::Cancelled;

type Job = Box<dyn FnOnce(&mut Agenda)>;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Agenda {
    jobs: VecDeque<Job>,
    /// The caller was cancelled in one of its callbacks: it unwinds with this after the others.
    cancelled: Option<Box<dyn Any + Send>>,
}

impl Agenda {
    /// Calls `begin`, then all that it has left to call, and what that has left, in order.
    pub(super) fn run<R>(begin: impl FnOnce(&mut Self) -> R) -> R {
        let mut agenda = Self::default();
        let result = begin(&mut agenda);
        while let Some(job) = agenda.jobs.pop_front() {
            job(&mut agenda);
        }
        if let Some(payload) = agenda.cancelled {
            // In a destructor that runs because of a panic, a second one would abort.
            if !std::thread::panicking() {
                resume_unwind(payload);
            }
        }
        result
    }

    pub(super) fn push(&mut self, job: impl FnOnce(&mut Self) + 'static) {
        self.jobs.push_back(Box::new(job));
    }

    /// Calls a user's callback; its panic becomes an error.
    pub(super) fn call<R>(&mut self, callback: impl FnOnce() -> R) -> Result<R, Error> {
        catch_unwind(AssertUnwindSafe(callback)).map_err(|payload| {
            let error = Error::of_panic(&*payload);
            if Cancelled::is_own(&*payload) {
                self.cancelled = Some(payload);
            }
            error
        })
    }
}
