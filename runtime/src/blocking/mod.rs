//! Calls that block their thread, made where they stall no worker.
//!
//! Some calls cannot be made non-blocking: files, name look-ups, a C library, a long computation. [`run`](fn@run) makes such a
//! call on a thread of the runtime's *blocking pool*, and parks the calling fiber until it has returned. The closure may borrow
//! from the fiber's stack, since the fiber stays until the call is done. [`run_owned`] takes a closure that owns what it uses;
//! a fiber that is cancelled, or whose time is up, leaves such a call behind.
//!
//! # Which calls need it
//!
//! Those that block without abaca's knowledge: a C library, a crate that opens its own sockets with std, std's or parking_lot's
//! locks that are held for long. [`fs`](crate::fs), [`net`](crate::net), [`process`](crate::process) and standard streams of
//! abaca's do not: they use the pool by themselves where they have to. [`what_blocks`](crate::guide::what_blocks) has a list.
//!
//! A `std::sync` lock needs it only if it may be held for long: an uncontended lock, or one that is held for a few lines, is fine
//! where it is. See [the crate page](crate#when-is-stdsync-fine).
//!
//! # The pool
//!
//! Each runtime has a pool of its own. It has no threads until they are needed: a job takes the thread that became idle last,
//! or else starts a new one, up to [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads), 512 by default.
//! (In a process whose threads are fibers there is no limit by default: there each job would have a thread of its own, and may wait for others.)
//! Beyond that, jobs queue, first in, first out. A thread that has been idle for
//! [`blocking_keep_alive`](crate::runtime::Builder::blocking_keep_alive) ends. Since the last thread to become idle is the
//! first to be used, the threads that a lighter load does not need do end. Threads are called `<runtime>-blocking-<n>`.
//!
//! Other threads start [children](crate::process). They are called `<runtime>-forking-<n>` and have the same limits: a child
//! inherits what jobs may have changed of their thread, and a thread that has a child stays until that has ended.
//!
//! A job that waits for another job of the same pool can wait for ever when the limit is reached.
//!
//! When the operating system refuses a thread, jobs queue for those that exist. If there are none, the job runs in place,
//! on the fiber's stack, and holds up its worker meanwhile: slow is better than failed.
//!
//! # A resource of limited size
//!
//! Do not use the pool to limit anything: a hundred fibers that query a database through it become a hundred threads, though
//! the database may serve 16 connections. Put the connections into a channel instead. To take one is to receive it, to give it
//! back is to send it; a fiber that finds none parks, and takes no thread:
//!
//! ```
//! use abaca::channel::bounded;
//!
//! struct Connection(u32); // of a library that blocks: SQLite, a C client
//! impl Connection {
//!     fn query(&mut self) -> u32 { self.0 += 1; self.0 }
//! }
//!
//! abaca::run(|| {
//!     let (give, take) = bounded(16);
//!     (0..16).for_each(|_| give.send(Connection(0)).unwrap());
//!     abaca::scope(|scope| {
//!         for _ in 0..100 {
//!             scope.spawn(|| {
//!                 let mut connection = take.recv().unwrap();
//!                 abaca::blocking::run(|| connection.query());
//!                 give.send(connection).unwrap();
//!             });
//!         }
//!     });
//!     assert_eq!((0..16).map(|_| take.recv().unwrap().0).sum::<u32>(), 100);
//! });
//! ```
//!
//! The [`cookbook`](crate::guide::cookbook) has it with a guard that gives the connection back when its fiber unwinds.
//!
//! # Cancellation and shutdown
//!
//! A fiber that is cancelled before a thread has taken its job takes the job back and unwinds. If the job has begun:
//!
//! * [`run_owned`], whose closure owns what it uses: the fiber unwinds at once. The closure goes on without it, and its result
//!   is dropped. So it does not hold up the end of the runtime or of the process. It keeps its thread of the pool for as long
//!   as it takes. The calls of [`fs`](crate::fs) and name look-ups are of this kind, except those that move bytes.
//! * [`run`](fn@run), whose closure may borrow from the fiber's stack: the fiber waits for its end, drops the result, and then
//!   unwinds. A runtime that is shut down waits, up to its deadline, for such jobs.
//!
//! The pool's threads end after the last fiber.
//!
//! # Example
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

pub(crate) use job::JobFacts;

pub use crate::pool::Metrics;

use crate::park::{self, Cost};
use crate::pool::{Lease, Pool};
use crate::scheduler;
use job::Job;

/// Runs `f` on a thread of the runtime's blocking pool while the calling fiber is parked, and returns its result.
///
/// On a plain thread, `f` just runs there.
///
/// To hand a job over and back takes some microseconds if a thread is awake, and tens of them if one must be woken.
///
/// A [timeout](fn@crate::time::timeout) or [cancellation](crate::cancel) does not end `f`, which may borrow: the fiber waits
/// for it, drops its result, and then unwinds. [`run_owned`] does not wait.
///
/// # Panics
///
/// With the panic of `f`.
///
/// # Examples
///
/// ```
/// # abaca::run(|| {
/// let mut numbers = vec![3, 1, 2];
/// abaca::blocking::run(|| numbers.sort());
/// assert_eq!(numbers, [1, 2, 3]);
/// # });
/// ```
///
/// ## A value that is not `Sync`
///
/// `f` runs on another thread, so what it borrows must be `Sync`, and many a connection (`rusqlite::Connection`, for one) is
/// not: it has a `Cell` or `RefCell` inside. Such a value cannot be borrowed by reference, and the compiler says that it
/// `cannot be shared between threads safely`. But it can be borrowed *mutably*, since a `&mut T` is `Send` if `T` is. So
/// reborrow it, and `move` the borrow into the closure:
///
/// ```
/// use std::cell::RefCell; // `Send`, not `Sync`
///
/// # abaca::run(|| {
/// let mut connection = RefCell::new(vec!["row"]);
/// let reborrowed = &mut connection;
/// // Without `move`, the closure would borrow through `reborrowed`, as a shared reference.
/// let rows = abaca::blocking::run(move || reborrowed.borrow().len());
/// assert_eq!(rows, 1);
/// connection.borrow_mut().push("another"); // it is the caller's again
/// # });
/// ```
///
/// If there is only a shared reference to it, put it behind an [`abaca::sync::Mutex`](crate::sync::Mutex), which makes it
/// `Sync`, or into a [channel](self#a-resource-of-limited-size).
#[doc(alias = "spawn_blocking")]
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

/// Like [`run`](fn@run), for a closure that owns what it uses: a fiber that is cancelled, or whose time is up, does not wait
/// for it.
///
/// The closure then goes on, and its result is dropped on the pool's thread, as with tokio's `spawn_blocking` when its handle is
/// dropped. If no thread has begun it, it never runs.
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

/// Whether the caller is a fiber, and so has a pool.
pub(crate) fn has_pool() -> bool {
    scheduler::current_fiber().is_some()
}

/// Runs `f`, which blocks and must not be cancelled, on a thread of the pool: for destructors. The caller waits for `f` if it may
/// park; it never unwinds from here. On a plain thread `f` just runs.
pub(crate) fn run_aside(f: impl FnOnce() + Send + 'static) {
    match scheduler::blocking_pool() {
        Some(pool) => call::run_aside(&pool, f, !std::thread::panicking()),
        None => f(),
    }
}

/// Like [`run_aside`], without waiting.
pub(crate) fn run_later(f: impl FnOnce() + Send + 'static) {
    match scheduler::blocking_pool() {
        Some(pool) => call::run_aside(&pool, f, false),
        None => f(),
    }
}

/// Like [`run_owned`], but never unwinds: `None` if the caller was cancelled before the end of `f`.
#[cfg(feature = "own-tls")]
pub(crate) fn run_or_leave<F, T>(f: F) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match scheduler::blocking_pool() {
        Some(pool) => call::run_or_leave(&pool, f),
        _ => Some(f()),
    }
}

/// Like [`run`](fn@run), for results that must not be lost, such as bytes that were read: once a thread has begun, the result is
/// returned even if the fiber is cancelled meanwhile. The fiber then unwinds from its next blocking call.
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

/// Runs `f`, which starts a child, on a thread that runs nothing else and lives as long as the lease: for the kernel, that
/// thread is the child's parent. On a plain thread, `f` just runs: the caller is the parent, as in std.
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

/// The state of the pool of the calling fiber's runtime. All numbers are zero on a plain thread, which has no pool.
///
/// ```
/// # abaca::run(|| {
/// abaca::blocking::run(|| ());
/// let metrics = abaca::blocking::metrics();
/// assert_eq!((metrics.completed, metrics.peak, metrics.queued), (1, 1, 0));
/// # });
/// ```
pub fn metrics() -> Metrics {
    park::spend(Cost::Call);
    scheduler::blocking_pool().map_or_else(Metrics::default, |pool| pool.metrics())
}
