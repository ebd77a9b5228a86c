//! Calls that block their thread, run where they stall no worker.
//!
//! Some calls cannot be made non-blocking: files, name resolution, a C library, a long computation. [`run`] makes
//! such a call on a thread of the runtime's *blocking pool* and parks the calling fiber until it has returned. The
//! closure may borrow from the fiber's stack, since the fiber stays until it is done.
//!
//! # The pool
//!
//! Each runtime has its own. It has no threads until they are needed: a job takes the thread that became idle last, or
//! else starts a new one, up to [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads); beyond that,
//! jobs queue, first in, first out. A thread that has been idle for
//! [`blocking_keep_alive`](crate::runtime::Builder::blocking_keep_alive) ends; since the last to become idle is the first
//! to be used, those that a lighter load does not need do end. Threads are called `<runtime>-blocking-<n>`.
//! Those that start [children](crate::process) are others, `<runtime>-forking-<n>`, within the same limits: a child inherits what
//! jobs may have changed of their thread, and a thread that has a child stays until that has ended.
//!
//! A job that waits for another job of the same pool can wait for ever when the limit is reached.
//!
//! When the operating system refuses a thread, jobs queue for those that exist. If there are none, the job runs in place,
//! on the fiber's stack, and holds up its worker meanwhile: slow is better than failed.
//!
//! # Cancellation and shutdown
//!
//! A fiber that is cancelled before a thread has taken its job takes it back and unwinds. Once the job has begun, it depends:
//!
//! * [`run_owned`], whose closure owns what it uses: the fiber unwinds at once, the closure goes on without it, and what it
//!   returns is dropped when it arrives. So it does not hold up the end of the runtime or of the process. It keeps
//!   its thread of the pool for as long as it takes. The calls of [`fs`](crate::fs) and the look-up of names are of this kind,
//!   but for those that move bytes.
//! * [`run`], whose closure may borrow from the fiber's stack: the fiber waits for its end, drops the result, and then
//!   unwinds. A runtime that is shut down waits, up to its deadline, for such jobs.
//!
//! The pool's threads end after the last fiber.
//!
//! ```
//! # abaca::run(|| {
//! let text = String::from("borrowed");
//! let len = abaca::blocking::run(|| {
//!     std::thread::sleep(std::time::Duration::from_millis(1)); // blocks a thread, but no worker
//!     text.len()
//! });
//! assert_eq!(len, 8);
//! # });
//! ```

mod call;
mod job;

pub use crate::pool::Gauges;

use crate::pool::{Lease, Pool};
use crate::scheduler;
use job::Job;

/// Runs `f` on a thread of the runtime's blocking pool while the calling fiber is parked, and returns what it returned.
///
/// On a plain thread, `f` just runs.
///
/// Handing a job over and back costs some microseconds if a thread is awake, and tens if one must be woken.
///
/// # Panics
///
/// With the panic of `f`.
///
/// ```
/// # abaca::run(|| {
/// let mut numbers = vec![3, 1, 2];
/// abaca::blocking::run(|| numbers.sort());
/// assert_eq!(numbers, [1, 2, 3]);
/// # });
/// ```
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    match scheduler::blocking_pool() {
        Some(pool) => call::wait_for(&pool, f, Job::wait),
        _ => f(),
    }
}

/// [`run`] for a closure that owns what it uses: a fiber that is cancelled, or whose time is up, does not wait for it. The
/// closure then goes on, and what it returns is dropped on the pool's thread. Mirrors what becomes of tokio's
/// `spawn_blocking` when its handle is dropped.
///
/// # Panics
///
/// With the panic of `f`.
///
/// ```
/// # abaca::run(|| {
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// let (sender, receiver) = mpsc::channel::<()>();
/// // A library's call that takes as long as it takes.
/// let call = move || receiver.recv();
/// let late = abaca::time::timeout(Duration::from_millis(1), || abaca::blocking::run_owned(call));
/// assert!(late.is_err());
/// # drop(sender);
/// # });
/// ```
pub fn run_owned<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match scheduler::blocking_pool() {
        Some(pool) => call::run_owned(&pool, f),
        _ => f(),
    }
}

/// Whether the caller is a fiber, whose runtime has a pool.
pub(crate) fn has_pool() -> bool {
    scheduler::current_fiber().is_some()
}

/// Runs `f`, for which a destructor is no place, on a thread of the pool. The caller waits for it if it can; it is never
/// cancelled here. On a plain thread `f` just runs.
pub(crate) fn run_aside(f: impl FnOnce() + Send + 'static) {
    match scheduler::blocking_pool() {
        Some(pool) => call::run_aside(&pool, f, !std::thread::panicking()),
        None => f(),
    }
}

/// [`run_aside`], for which nobody waits.
pub(crate) fn run_later(f: impl FnOnce() + Send + 'static) {
    match scheduler::blocking_pool() {
        Some(pool) => call::run_aside(&pool, f, false),
        None => f(),
    }
}

/// [`run`] of what must not be lost, such as bytes that are read: once a thread has begun, the result is returned even if
/// the fiber is cancelled meanwhile, which then unwinds from its next blocking call.
pub(crate) fn run_and_keep<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    match scheduler::blocking_pool() {
        Some(pool) => call::wait_for(&pool, f, Job::wait_and_keep),
        _ => f(),
    }
}

/// Runs `f`, which starts a child, on a thread that runs nothing else, and that lives as long as the lease: for the kernel it
/// is the child's parent. On a plain thread, `f` just runs: the caller is the parent, as in std.
pub(crate) fn run_and_stay<F, T>(f: F) -> (T, Option<Lease>)
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let call = || (f(), Lease::take());
    let pool = scheduler::blocking_pool();
    match pool.as_deref().and_then(Pool::forking) {
        Some(pool) => call::wait_for(pool, call, Job::wait),
        _ => call(),
    }
}

/// The gauges of the calling fiber's runtime; all zero on a plain thread, which has no pool.
///
/// ```
/// # abaca::run(|| {
/// abaca::blocking::run(|| ());
/// let gauges = abaca::blocking::gauges();
/// assert_eq!((gauges.completed, gauges.peak, gauges.queued), (1, 1, 0));
/// # });
/// ```
pub fn gauges() -> Gauges {
    scheduler::blocking_pool().map_or_else(Gauges::default, |pool| pool.gauges())
}
