//! A job: one closure that a thread of the pool runs, once. There are two kinds.
//!
//! * A [`Job`] lies on the stack of whoever waits for its end, so that it may borrow from there. Whoever has the
//!   [`JobRef`] owns closure and result until its caller is told; the caller owns them again afterwards. A caller that takes
//!   the reference back has everything again at once.
//! * An [`OwnedJob`] is on the heap and owns what it uses, so its caller may go at any time. What it returns is then
//!   dropped by whoever goes last.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of those who wait for them")]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::cell::Reason;
use crate::park::{Cancellation, Latch};
use crate::pool::{JobRef, Owned};

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
        // SAFETY: closure and result are `Send` by the bounds of `new`, and the caller waits for the job's end. `run` and `tell`
        // ask for no more than a `JobRef` promises.
        unsafe { JobRef::borrowing(std::ptr::from_ref(self).cast(), Self::run, Self::tell) }
    }

    /// # Safety
    ///
    /// That is a job whose right to be run is the caller's.
    unsafe fn run(this: *const ()) {
        // SAFETY: the caller of `to_ref` waits for `done`, and until then the job is this thread's.
        let job = unsafe { &*this.cast::<Self>() };
        // SAFETY: as above.
        let call = unsafe { (*job.call.get()).take() }.expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(call));
        // SAFETY: as above.
        unsafe { *job.result.get() = Some(result) };
    }

    /// # Safety
    ///
    /// That is a job which has run, and whose caller has not been told.
    unsafe fn tell(this: *const ()) {
        // SAFETY: the job stays in place until its caller has seen the count reach zero.
        unsafe { &(*this.cast::<Self>()).done }.subtract();
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

    fn tell(&self) {
        self.done.subtract();
    }
}
