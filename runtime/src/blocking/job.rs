//! Jobs: a job is a closure that a thread of the pool runs, once. There are two kinds.
//!
//! * A [`Job`] lies on the stack of its caller, who waits for its end, so that it may borrow from there. The holder of the
//!   [`JobRef`] owns closure and result until it signals the end; after that the caller owns them again. If the caller takes
//!   the reference back, it owns them again at once.
//! * An [`OwnedJob`] is on the heap and owns what it uses, so its caller may leave at any time. The side that leaves last,
//!   caller or thread, drops the result.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of their callers")]

use std::any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::cell::Reason;
use crate::park::{Cancellation, Latch};
use crate::pool::{JobRef, Owned};

/// What a fiber waits for that waits for a job: for those who look at it.
#[derive(Debug)]
pub(crate) struct JobFacts {
    name: &'static str,
    has_begun: AtomicBool,
}

impl JobFacts {
    fn of<F>() -> Self {
        Self { name: any::type_name::<F>(), has_begun: AtomicBool::new(false) }
    }

    /// The name of the closure's type.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a thread has begun the job.
    pub(crate) fn has_begun(&self) -> bool {
        // Relaxed, here and below: it is only shown.
        self.has_begun.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }
}

/// See the module's documentation.
pub(super) struct Job<F, T> {
    facts: JobFacts,
    call: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<T>>>,
    done: Latch,
}

/// See the module's documentation.
pub(super) struct OwnedJob<F, T> {
    facts: JobFacts,
    call: Mutex<Option<F>>,
    result: Mutex<Option<thread::Result<T>>>,
    done: Latch,
}

/// A method of [`Job`] that waits for its end.
pub(super) type Wait<F, T> = fn(&Job<F, T>, TakeBack<'_>) -> Option<Cancellation>;

/// Takes a job back that no thread has begun.
type TakeBack<'a> = &'a dyn Fn() -> Option<JobRef>;

impl<F, T> Job<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    pub(super) fn new(call: F) -> Self {
        Self {
            facts: JobFacts::of::<F>(),
            call: UnsafeCell::new(Some(call)),
            result: UnsafeCell::new(None),
            done: Latch::new(1),
        }
    }

    /// The right to run the job.
    ///
    /// # Safety
    ///
    /// It is called once, and the caller calls `wait` next. The job stays in place until `wait` has returned.
    pub(super) unsafe fn to_ref(&self) -> JobRef {
        // SAFETY: closure and result are `Send` by the bounds of `new`, and the caller waits for the job's end. `run` and
        // `notify_caller` require no more than a `JobRef` promises.
        unsafe { JobRef::borrowing(std::ptr::from_ref(self).cast(), Self::run, Self::notify_caller) }
    }

    /// # Safety
    ///
    /// `this` is a job, and the caller has the right to run it.
    unsafe fn run(this: *const ()) {
        // SAFETY: the caller of `to_ref` waits for `done`, and until then the job is this thread's.
        let job = unsafe { &*this.cast::<Self>() };
        job.facts.begin();
        // SAFETY: as above.
        let call = unsafe { (*job.call.get()).take() }.expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(call));
        // SAFETY: as above.
        unsafe { *job.result.get() = Some(result) };
    }

    /// # Safety
    ///
    /// `this` is a job that has run, and whose caller has not been told.
    unsafe fn notify_caller(this: *const ()) {
        // SAFETY: the job stays in place until its caller has seen the count reach zero.
        unsafe { &(*this.cast::<Self>()).done }.count_down();
    }

    /// Waits until the job has run. If the caller is cancelled, `take_back` is called; if it succeeds, no thread will run the
    /// job, and the wait ends. Returns the cancellation with which the caller must unwind, if any.
    pub(super) fn wait(&self, take_back: TakeBack<'_>) -> Option<Cancellation> {
        self.done.wait_to_end(Reason::Blocking.of(&self.facts), || {
            if take_back().is_some() {
                self.done.count_down();
            }
        })
    }

    /// Like [`wait`](Self::wait), but the caller must unwind only if no thread will run the job: it always gets a result.
    pub(super) fn wait_and_keep(&self, take_back: TakeBack<'_>) -> Option<Cancellation> {
        self.done.wait_or_abandon(Reason::Blocking.of(&self.facts), || take_back().is_some())
    }

    /// The closure's result, or its panic; `None` if the job was taken back.
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
        Arc::new(Self {
            facts: JobFacts::of::<F>(),
            call: Mutex::new(Some(call)),
            result: Mutex::default(),
            done: Latch::new(1),
        })
    }

    /// Waits until the job has run. If the caller is cancelled before, it must unwind, and the job goes on without it.
    pub(super) fn wait(&self) -> Option<Cancellation> {
        self.done.wait_or_unwind(Reason::Blocking.of(&self.facts))
    }

    /// Waits until the job has run, or the caller is cancelled: then its next blocking call unwinds.
    pub(super) fn wait_or_leave(&self) {
        self.done.wait_or_ignore(Reason::Blocking.of(&self.facts));
    }

    /// The closure's result, or its panic; `None` if the job has not run yet.
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
        self.facts.begin();
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(call));
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    fn notify_caller(&self) {
        self.done.count_down();
    }
}
