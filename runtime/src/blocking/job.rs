//! A job: one closure that a thread of the pool runs, once. There are two kinds.
//!
//! * A [`Job`] lies on the stack of whoever waits for its end, so that it may borrow from there. Whoever has the
//!   [`JobRef`] owns closure and result until [`Finished::tell`]; the caller owns them again afterwards. A caller that takes
//!   the reference back has everything again at once.
//! * An [`OwnedJob`] is on the heap and owns what it uses, so its caller may go at any time. What it returns is then
//!   dropped by whoever goes last.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of those who wait for them")]

use std::cell::UnsafeCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::fiber::Reason;
use crate::latch::Latch;
use crate::park::Cancellation;

/// See the module's documentation.
pub(super) struct Job<F, T> {
    call: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<T>>>,
    done: Latch,
}

/// See the module's documentation.
pub(super) struct OwnedJob<F, T> {
    call: Mutex<Option<F>>,
    result: Mutex<Option<thread::Result<T>>>,
    done: Latch,
}

/// A way to wait for a job.
pub(super) type Wait<F, T> = fn(&Job<F, T>, TakeBack<'_>) -> Option<Cancellation>;

/// Takes a job back that nobody has begun.
type TakeBack<'a> = &'a dyn Fn() -> Option<JobRef>;

/// The right to run a job, whose type is forgotten, once.
pub(super) enum JobRef {
    Borrowing { job: *const (), run: unsafe fn(*const ()) -> *const Latch },
    Owned(Arc<dyn Owned>),
}

// SAFETY: closure and result are `Send` by the bounds of `Job::new`, and the caller waits for the job's end. An owned job is
// `Send` and `Sync` by itself.
unsafe impl Send for JobRef {}

/// An [`OwnedJob`] whose type is forgotten.
pub(super) trait Owned: Send + Sync {
    fn run(&self);
    fn done(&self) -> &Latch;
}

/// A job that has run, and whose caller has yet to be told.
#[must_use = "the caller waits for ever"]
pub(super) enum Finished {
    Borrowing(*const Latch),
    Owned(Arc<dyn Owned>),
}

impl<F, T> Job<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    pub(super) fn new(call: F) -> Self {
        Self { call: UnsafeCell::new(Some(call)), result: UnsafeCell::new(None), done: Latch::new(1) }
    }

    /// The right to run it.
    ///
    /// # Safety
    ///
    /// Asked for once. The job stays in place until `wait` has returned, which the caller calls next.
    pub(super) unsafe fn to_ref(&self) -> JobRef {
        JobRef::Borrowing { job: std::ptr::from_ref(self).cast(), run: Self::run }
    }

    unsafe fn run(this: *const ()) -> *const Latch {
        // SAFETY: the caller of `to_ref` waits for `done`, and until then the job is this thread's.
        let job = unsafe { &*this.cast::<Self>() };
        // SAFETY: as above.
        let call = unsafe { (*job.call.get()).take() }.expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(call));
        // SAFETY: as above.
        unsafe { *job.result.get() = Some(result) };
        &job.done
    }

    /// Waits until the job has run, or until `take_back`, which is called when the caller is cancelled, has found that
    /// nobody will. Returns whether the caller is to unwind.
    pub(super) fn wait(&self, take_back: TakeBack<'_>) -> Option<Cancellation> {
        self.done.await_zero(Reason::Blocking, || {
            if take_back().is_some() {
                self.done.subtract();
            }
        })
    }

    /// [`wait`](Self::wait), but the caller is to unwind only if nobody will run the job: a result is for it to have.
    pub(super) fn wait_and_keep(&self, take_back: TakeBack<'_>) -> Option<Cancellation> {
        self.done.await_zero_or_leave(Reason::Blocking, || take_back().is_some())
    }

    /// What the closure returned, or its panic; `None` if it was taken back.
    pub(super) fn into_result(self) -> Option<thread::Result<T>> {
        self.result.into_inner()
    }
}

impl<F, T> OwnedJob<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    pub(super) fn new(call: F) -> Arc<Self> {
        Arc::new(Self { call: Mutex::new(Some(call)), result: Mutex::default(), done: Latch::new(1) })
    }

    /// Waits until the job has run. A caller that is cancelled before is to unwind, and the job goes on without it.
    pub(super) fn wait(&self) -> Option<Cancellation> {
        self.done.await_zero_or_go(Reason::Blocking)
    }

    /// Waits until the job has run, or the caller is cancelled: its next blocking call obeys.
    pub(super) fn wait_or_leave(&self) {
        self.done.await_zero_or_ignore(Reason::Blocking);
    }

    /// What the closure returned, or its panic; `None` if it has not run yet.
    pub(super) fn take_result(&self) -> Option<thread::Result<T>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F, T> Owned for OwnedJob<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(&self) {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(call));
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    fn done(&self) -> &Latch {
        &self.done
    }
}

impl JobRef {
    /// Runs the job. It catches the closure's panic.
    pub(super) fn run(self) -> Finished {
        match self {
            // SAFETY: this is the one right to run it.
            Self::Borrowing { job, run } => Finished::Borrowing(unsafe { run(job) }),
            Self::Owned(job) => {
                job.run();
                Finished::Owned(job)
            }
        }
    }

    /// Whether it is that job.
    pub(super) fn is(&self, that: *const ()) -> bool {
        match self {
            Self::Borrowing { job, .. } => *job == that,
            Self::Owned(job) => Arc::as_ptr(job).cast() == that,
        }
    }
}

impl Finished {
    /// Lets the caller go on; the job is gone afterwards. If there is no caller any more, the result is dropped here.
    pub(super) fn tell(self) {
        match self {
            // SAFETY: the job stays in place until its caller has seen the count reach zero.
            Self::Borrowing(done) => unsafe { &*done }.subtract(),
            Self::Owned(job) => {
                job.done().subtract();
                // Nobody waits for what a destructor of the result throws.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(job))) {
                    mem::forget(payload);
                }
            }
        }
    }
}
