//! What the pool knows of a job: how to run it, once, and how to tell its caller.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of those who wait for them")]

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The right to run a job, whose type is forgotten, once.
pub(crate) enum JobRef {
    Borrowing(Borrowing),
    Owned(Arc<dyn Owned>),
}

// SAFETY: a borrowing job is, by `JobRef::borrowing`; an owned one is `Send` and `Sync` by itself.
unsafe impl Send for JobRef {}

/// A job on the stack of its caller, who waits for it.
#[derive(Clone, Copy)]
pub(crate) struct Borrowing {
    job: *const (),
    run: unsafe fn(*const ()),
    tell: unsafe fn(*const ()),
}

/// A job that owns what it uses.
pub(crate) trait Owned: Send + Sync {
    /// Runs it, once. Catches the panic of its closure.
    fn run(&self);
    /// Lets the caller go on, if it still waits.
    fn tell(&self);
}

/// A job that has run, and whose caller has yet to be told.
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
    /// Asked for once for each job, which may be run by another thread. `run` runs it and catches its closure's panic; `tell`
    /// lets its caller go on. The job stays in place until `tell` has been called, or the right has been given back.
    pub(crate) unsafe fn borrowing(
        job: *const (),
        run: unsafe fn(*const ()),
        tell: unsafe fn(*const ()),
    ) -> Self {
        Self::Borrowing(Borrowing { job, run, tell })
    }

    /// Runs the job. It catches the closure's panic.
    pub(crate) fn run(self) -> Finished {
        match self {
            Self::Borrowing(job) => {
                // SAFETY: this is the one right to run it.
                unsafe { (job.run)(job.job) };
                Finished::Borrowing(job)
            }
            Self::Owned(job) => {
                job.run();
                Finished::Owned(job)
            }
        }
    }

    /// Whether it is that job.
    pub(crate) fn is(&self, that: *const ()) -> bool {
        match self {
            Self::Borrowing(borrowing) => borrowing.job == that,
            Self::Owned(job) => Arc::as_ptr(job).cast() == that,
        }
    }
}

impl Finished {
    /// Lets the caller go on; the job is gone afterwards. If there is no caller any more, the result is dropped here.
    pub(crate) fn tell(self) {
        match self {
            // SAFETY: it has run, and its caller has not been told yet.
            Self::Borrowing(job) => unsafe { (job.tell)(job.job) },
            Self::Owned(job) => {
                job.tell();
                // Nobody waits for what a destructor of the result throws.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(job))) {
                    mem::forget(payload);
                }
            }
        }
    }
}
