//! A call on a thread of the pool: the job is queued, and its caller waits in one of several ways.

#![expect(unsafe_code, reason = "asks for the right to run a job, whose contract it keeps")]

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use super::job::{Job, OwnedJob, Wait};
use crate::park;
use crate::pool::{JobRef, Pool};

/// Runs `f` on a thread of the pool, and waits for its end in one of the ways of [`Job`].
pub(super) fn wait_for<F, T>(pool: &Arc<Pool>, f: F, wait: Wait<F, T>) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if !thread::panicking() && park::is_cancelled() {
        park::unwind();
    }
    let job = Job::new(f);
    // SAFETY: once, and the job stays where it is until the wait below is over.
    pool.submit(unsafe { job.to_ref() });
    let address = std::ptr::from_ref(&job).cast();
    let cancelled = wait(&job, &|| pool.take_back(address));
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

/// Runs `f`, which owns what it uses, on a thread of the pool, and waits for its end or for the caller's cancellation.
pub(super) fn run_owned<F, T>(pool: &Arc<Pool>, f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !thread::panicking() && park::is_cancelled() {
        park::unwind();
    }
    let job = OwnedJob::new(f);
    pool.submit(JobRef::Owned(Arc::clone(&job) as _));
    if let Some(cancelled) = job.wait() {
        // If nobody has begun it, nobody will.
        drop(pool.take_back(Arc::as_ptr(&job).cast()));
        drop(job);
        cancelled.unwind();
    }
    match job.take_result().expect("it has run") {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}

/// Runs `f` on a thread of the pool, sooner or later. The caller waits for it, unless it is cancelled or must not be
/// suspended.
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
        Arc::new(Pool::new("test", Settings { max_threads, keep_alive }))
    }

    #[test]
    fn one_caller_needs_one_thread() {
        let pool = pool(8, Duration::MAX);
        for _ in 0..100 {
            wait_for(&pool, || (), Job::wait);
            // The caller may be told before the thread has sat down.
            while pool.gauges().idle == 0 {
                std::thread::yield_now();
            }
        }
        let gauges = pool.gauges();
        assert_eq!((gauges.threads, gauges.peak, gauges.completed), (1, 1, 100));
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
            while pool.gauges().threads > 0 {
                std::thread::yield_now();
            }
            assert_eq!((pool.gauges().peak, pool.gauges().idle), (1, 0));
        }
    }

    #[test]
    fn what_is_queued_when_the_pool_closes_is_still_done() {
        let pool = pool(1, Duration::MAX);
        pool.close();
        assert_eq!(wait_for(&pool, || 7, Job::wait), 7);
    }
}
