//! A job: one closure on the stack of whoever waits for its end, so that it may borrow from there.
//!
//! A [`JobRef`] is the right to run the job, once. Whoever has it owns closure and result until [`Finished::tell`]; the
//! caller owns them again afterwards. A caller that takes the reference back has everything again at once.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of those who wait for them")]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// A way to wait for a job.
pub(super) type Wait<F, T> = fn(&Job<F, T>, TakeBack<'_>) -> Option<Cancellation>;

/// Takes a job back that nobody has begun.
type TakeBack<'a> = &'a dyn Fn() -> Option<JobRef>;

/// A job whose type is forgotten.
pub(super) struct JobRef {
    job: *const (),
    run: unsafe fn(*const ()) -> *const Latch,
}

// SAFETY: closure and result are `Send` by the bounds of `Job::new`, and the caller waits for the job's end.
unsafe impl Send for JobRef {}

/// A job that has run, and whose caller has yet to be told.
#[must_use = "the caller waits for ever"]
pub(super) struct Finished(*const Latch);

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
        JobRef { job: std::ptr::from_ref(self).cast(), run: Self::run }
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

impl JobRef {
    /// Runs the job. It catches the closure's panic.
    pub(super) fn run(self) -> Finished {
        // SAFETY: this is the one right to run it.
        Finished(unsafe { (self.run)(self.job) })
    }

    /// Whether it is that job.
    pub(super) fn is(&self, job: *const ()) -> bool {
        self.job == job
    }
}

impl Finished {
    /// Lets the caller go on; the job is gone afterwards.
    pub(super) fn tell(self) {
        // SAFETY: the job stays in place until its caller has seen the count reach zero.
        unsafe { &*self.0 }.subtract();
    }
}
