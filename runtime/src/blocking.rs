//! The blocking pool: OS threads for calls that cannot be made non-blocking, such as name resolution.
//!
//! The pool grows to [`MAX_THREADS`], and a thread that has been idle for [`IDLE`] ends. A job lives on the stack
//! of whoever waits for it, so it may borrow from there, and the wait cannot be left before the job has ended: a
//! cancelled fiber unwinds after it.

#![expect(unsafe_code, reason = "jobs borrow from the stacks of those who wait for them")]

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::fiber::Reason;
use crate::latch::Latch;
use crate::{park, scheduler};

const MAX_THREADS: usize = 256;
const IDLE: Duration = Duration::from_secs(10);

/// Runs `f` on a thread of the runtime's pool while the calling fiber is parked; on a plain thread, just runs it.
///
/// # Panics
///
/// With the panic of `f`.
pub(crate) fn run<F, R>(f: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    match scheduler::blocking_pool() {
        Some(pool) if !park::surely_unwinds() => pool.run(f),
        _ => f(),
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<JobRef>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// One call, on the stack of its caller.
struct Job<F, R> {
    call: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<R>>>,
    done: Latch,
}

/// A job whose type is forgotten.
struct JobRef {
    job: *const (),
    run: unsafe fn(*const ()),
}

// SAFETY: the closure and the result are `Send` by `run`'s bounds, and the caller waits for the job's end.
unsafe impl Send for JobRef {}

impl<F: FnOnce() -> R, R> Job<F, R> {
    unsafe fn run(this: *const ()) {
        // SAFETY: the caller of `Pool::run` waits for `done`, and until then the job is this thread's.
        let job = unsafe { &*this.cast::<Self>() };
        // SAFETY: as above.
        let call = unsafe { (*job.call.get()).take() }.expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(call));
        // SAFETY: as above.
        unsafe { *job.result.get() = Some(result) };
        job.done.subtract();
    }
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<F, R>(self: &Arc<Self>, f: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        let job = Job { call: UnsafeCell::new(Some(f)), result: UnsafeCell::new(None), done: Latch::new(1) };
        let job_ref = JobRef { job: (&raw const job).cast(), run: Job::<F, R>::run };
        if let Err(job_ref) = self.submit(job_ref) {
            // No thread could be had: better to hold up this worker than to fail.
            // SAFETY: nobody else has the job.
            unsafe { (job_ref.run)(job_ref.job) };
        }
        let cancelled = job.done.await_zero(Reason::Blocking, || ());
        match (job.result.into_inner().expect("the job stored its result before it was done"), cancelled) {
            (Ok(_), Some(cancelled)) => cancelled.unwind(),
            (Ok(result), None) => result,
            (Err(payload), _) => resume_unwind(payload),
        }
    }

    /// Queues a job, with a new thread if none is idle. Hands it back if there are no threads at all.
    fn submit(self: &Arc<Self>, job: JobRef) -> Result<(), JobRef> {
        let mut state = self.state();
        if state.idle <= state.jobs.len() && state.threads < MAX_THREADS {
            let pool = Arc::clone(self);
            let started = thread::Builder::new().name("abaca-blocking".into()).spawn(move || pool.serve());
            state.threads += usize::from(started.is_ok());
        }
        if state.threads == 0 {
            return Err(job);
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// A thread's life.
    fn serve(&self) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // SAFETY: a queued job is run once, and its caller waits for it.
                unsafe { (job.run)(job.job) };
                state = self.state();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            state.idle -= 1;
            if waited.1.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Lets idle threads end; the runtime is gone.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::Pool;

    #[test]
    fn a_job_borrows_from_its_caller_and_returns_its_result() {
        let pool = Arc::new(Pool::new());
        let text = String::from("borrowed");
        assert_eq!(pool.run(|| text.len()), 8);
        assert!(std::panic::catch_unwind(|| pool.run(|| panic!("in the job"))).is_err());
        pool.close();
    }

    #[test]
    fn threads_are_reused_and_end_when_the_pool_closes() {
        let pool = Arc::new(Pool::new());
        for _ in 0..100 {
            pool.run(|| ());
        }
        assert!(pool.state().threads <= 100);
        pool.close();
        while pool.state().threads > 0 {
            std::thread::yield_now();
        }
    }
}
