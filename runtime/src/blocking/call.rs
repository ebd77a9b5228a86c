//! Calls on a thread of the pool: a job is queued, and its caller waits for it in one of several ways.

#![expect(unsafe_code, reason = "asks for the right to run a job, whose contract it keeps")]

use std::panic::resume_unwind;
use std::sync::Arc;

use super::job::{Job, OwnedJob, Wait};
use crate::park;
use crate::pool::{JobRef, Pool};

/// Runs `f` on a thread of the pool. The caller waits for its end by `wait`, a method of [`Job`].
pub(super) fn wait_for<F, T>(pool: &Arc<Pool>, f: F, wait: Wait<F, T>) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if park::is_cancelled() {
        park::unwind();
    }
    let job = Job::new(f);
    // SAFETY: called once, and the job stays in place until the wait below is over.
    let ticket = pool.submit(unsafe { job.to_ref() });
    let cancelled = wait(&job, &|| pool.take_back(ticket));
    match (job.into_result(), cancelled) {
        (Some(Err(payload)), _) => resume_unwind(payload),
        (result, Some(cancelled)) => {
            drop(result);
            cancelled.unwind()
        }
        (Some(Ok(value)), None) => value,
        (None, None) => unreachable!("a job is taken back only by a cancelled caller"),
    }
}

/// Runs `f`, which owns what it uses, on a thread of the pool. The caller waits for its end, or until it is cancelled.
pub(super) fn run_owned<F, T>(pool: &Arc<Pool>, f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if park::is_cancelled() {
        park::unwind();
    }
    let job = OwnedJob::new(f);
    let ticket = pool.submit(JobRef::Owned(Arc::clone(&job) as _));
    if let Some(cancelled) = job.wait() {
        // If no thread has begun the job, none will.
        drop(pool.take_back(ticket));
        drop(job);
        cancelled.unwind();
    }
    match job.take_result().expect("it has run") {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}

/// Runs `f` on a thread of the pool. `None` if the caller was cancelled before the end of `f`, which then goes on, or never begins.
#[cfg(feature = "own-tls")]
pub(super) fn run_or_leave<F, T>(pool: &Arc<Pool>, f: F) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let job = OwnedJob::new(f);
    let ticket = pool.submit(JobRef::Owned(Arc::clone(&job) as _));
    job.wait_or_leave();
    match job.take_result() {
        Some(Ok(value)) => Some(value),
        Some(Err(payload)) => resume_unwind(payload),
        None => {
            drop(pool.take_back(ticket));
            None
        }
    }
}

/// Runs `f` on a thread of the pool, now or later. The caller waits for it, unless it is cancelled or may not wait.
pub(super) fn run_aside(pool: &Arc<Pool>, f: impl FnOnce() + Send + 'static, may_wait: bool) {
    let job = OwnedJob::new(f);
    pool.submit(JobRef::Owned(Arc::clone(&job) as _));
    if may_wait {
        job.wait_or_leave();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pool::Settings;

    fn pool(max_threads: usize, keep_alive: Duration) -> Arc<Pool> {
        Arc::new(Pool::new("test", Settings { max_threads: Some(max_threads), keep_alive }))
    }

    #[test]
    fn one_caller_needs_one_thread() {
        let pool = pool(8, Duration::MAX);
        for _ in 0..100 {
            wait_for(&pool, || (), Job::wait);
            // The caller may be woken before the thread has become idle.
            while pool.metrics().idle == 0 {
                std::thread::yield_now();
            }
        }
        let metrics = pool.metrics();
        assert_eq!((metrics.threads, metrics.peak, metrics.completed), (1, 1, 100));
        pool.close();
    }

    #[test]
    fn threads_end_when_they_idle_for_too_long_and_when_the_pool_closes() {
        for keep_alive in [Duration::ZERO, Duration::MAX] {
            let pool = pool(2, keep_alive);
            wait_for(&pool, || (), Job::wait);
            if keep_alive == Duration::MAX {
                pool.close();
            }
            while pool.metrics().threads > 0 {
                std::thread::yield_now();
            }
            assert_eq!((pool.metrics().peak, pool.metrics().idle), (1, 0));
        }
    }

    #[test]
    fn what_is_queued_when_the_pool_closes_is_still_done() {
        let pool = pool(1, Duration::MAX);
        pool.close();
        assert_eq!(wait_for(&pool, || 7, Job::wait), 7);
    }
}
