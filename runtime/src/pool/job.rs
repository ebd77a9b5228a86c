//! A job as the pool sees it: it can be run once, and its caller can be notified.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of their callers")]

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The right to run a type-erased job once.
pub(crate) enum JobRef {
    Borrowing(Borrowing),
    Owned(Arc<dyn Owned>),
}

// SAFETY: a borrowing job may be sent by the contract of `JobRef::borrowing`; an owned one is `Send` and `Sync` itself.
unsafe impl Send for JobRef {}

/// A job on the stack of its caller, which waits for it.
#[derive(Clone, Copy)]
pub(crate) struct Borrowing {
    job: *const (),
    run: unsafe fn(*const ()),
    notify_caller: unsafe fn(*const ()),
}

/// A job that owns what it uses.
pub(crate) trait Owned: Send + Sync {
    /// Runs the job. Catches the panic of its closure. Called once.
    fn run(&self);
    /// Lets the caller go on, if the caller still waits.
    fn notify_caller(&self);
}

/// A job that has run, and whose caller must be notified.
#[must_use = "the caller waits for ever"]
pub(crate) enum Finished {
    Borrowing(Borrowing),
    Owned(Arc<dyn Owned>),
}

impl JobRef {
    /// The right to run a job that lies on its caller's stack.
    ///
    /// # Safety
    ///
    /// Must be called once for each job, and another thread may run the job. `run` runs it and catches its closure's panic;
    /// `notify_caller` lets its caller go on. The job must stay in place until `notify_caller` has been called, or the right
    /// has been given back.
    pub(crate) unsafe fn borrowing(
        job: *const (),
        run: unsafe fn(*const ()),
        notify_caller: unsafe fn(*const ()),
    ) -> Self {
        Self::Borrowing(Borrowing { job, run, notify_caller })
    }

    /// Runs the job. A panic of its closure is caught.
    pub(crate) fn run(self) -> Finished {
        match self {
            Self::Borrowing(job) => {
                // SAFETY: this is the only right to run the job.
                unsafe { (job.run)(job.job) };
                Finished::Borrowing(job)
            }
            Self::Owned(job) => {
                job.run();
                Finished::Owned(job)
            }
        }
    }
}

impl Finished {
    /// Lets the caller go on, which may free the job at once. If the caller does not wait any more, the result is dropped here.
    pub(crate) fn notify_caller(self) {
        match self {
            // SAFETY: the job has run, and its caller has not been notified yet.
            Self::Borrowing(job) => unsafe { (job.notify_caller)(job.job) },
            Self::Owned(job) => {
                job.notify_caller();
                // No caller is left for a panic of the result's destructor.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(job))) {
                    mem::forget(payload);
                }
            }
        }
    }
}
