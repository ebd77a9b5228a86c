//! The runtime: its threads, what is run on it, and its shutdown. `builder.rs` has its settings and its start.

#![expect(unsafe_code, reason = "a main fiber borrows from the thread that waits for it")]

mod builder;
mod crew;
mod panic_report;
mod stalls;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use crate::scheduler::{Activity, Stall};
pub use builder::{Builder, Poller};

use crew::{Crew, Report};

use crate::cell::NoStack;
use crate::fiber::{self, JoinHandle, SpawnError};
use crate::pool;
use crate::scheduler::{self, Shared};

/// The name of the fiber that [`Runtime::run`] makes.
const MAIN: &str = "main";

/// What a shutdown left behind: the fibers that did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    /// Worker threads that still run fibers. They go on until the process ends.
    pub busy_workers: usize,
    /// Started fibers that have not ended.
    pub fibers: usize,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { busy_workers, fibers } = self;
        write!(f, "{fibers} fibers on {busy_workers} workers did not end in time after they were cancelled")
    }
}

impl std::error::Error for ShutdownError {}

/// A running scheduler with its worker threads. Several can live in one process.
///
/// Dropping it shuts it down: see [`shutdown`](Self::shutdown).
///
/// ```
/// use std::time::Duration;
/// use abaca::{Cancelled, Runtime};
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::builder().workers(2).name("night-shift").build()?;
/// let sleeper = runtime.spawn(abaca::park);
/// assert_eq!(runtime.run(|| abaca::spawn(|| 6 * 7).join().unwrap()), 42);
/// runtime.shutdown(Duration::from_secs(10)).unwrap();
/// assert!(sleeper.join().unwrap_err().is::<Cancelled>());
/// # Ok(())
/// # }
/// ```
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
    /// Absent once it is shut down.
    crew: Option<Crew>,
    shutdown_timeout: Duration,
}

impl Runtime {
    /// Starts a runtime with the default settings.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// A builder with the default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs `f` as a fiber of this runtime; blocks the calling thread until it returns.
    ///
    /// # Panics
    ///
    /// With the panic of `f`, or if there is no memory for its stack. Also when called from a fiber: spawn there instead.
    #[track_caller]
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        assert!(
            scheduler::current_fiber().is_none(),
            "Runtime::run blocks its thread: in a fiber, use abaca::spawn"
        );
        // SAFETY: closure and result are `Send`, and the join below outlives all borrows: on a plain thread, behind a
        // shield, it neither unwinds nor returns before the fiber has ended.
        let handle = unsafe { fiber::Builder::new().name(MAIN.into()).spawn_onto(&self.shared, f) };
        let handle = handle.unwrap_or_else(|error| panic!("failed to spawn the main fiber: {error}"));
        match NoStack::of(crate::park::shield(|| handle.join_veiled())) {
            Ok(result) => result.unwrap_or_else(|payload| std::panic::resume_unwind(payload)),
            // No panic was reported: it never began.
            Err(error) => panic!("failed to start the main fiber: {error}"),
        }
    }

    /// Spawns a fiber on this runtime, from anywhere.
    ///
    /// # Panics
    ///
    /// If the runtime's limit of fibers is reached; see [`try_spawn`](Self::try_spawn).
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_spawn(f).unwrap_or_else(|error| panic!("failed to spawn a fiber: {error}"))
    }

    /// [`spawn`](Self::spawn) that does not panic.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: closure and result are `Send` and `'static`.
        unsafe { fiber::Builder::new().spawn_onto(&self.shared, f) }
    }

    /// How many workers it has.
    pub fn workers(&self) -> usize {
        self.shared.workers.len()
    }

    /// What the runtime's [`blocking`](crate::blocking) pool is doing.
    ///
    /// ```
    /// let runtime = abaca::Runtime::builder().workers(1).max_blocking_threads(4).build().unwrap();
    /// runtime.run(|| abaca::blocking::run(|| ()));
    /// assert_eq!(runtime.blocking_gauges().completed, 1);
    /// ```
    pub fn blocking_gauges(&self) -> pool::Gauges {
        self.shared.blocking.gauges()
    }

    /// Shuts the runtime down: accepts no new fibers, cancels the remaining ones (they unwind from the blocking
    /// call they are in, destructors run; see [`Cancelled`](crate::Cancelled)), and waits for them to end. A fiber of
    /// another runtime parks meanwhile.
    ///
    /// Dropping the runtime does the same with [`Builder::shutdown_timeout`], and reports what has not ended on the
    /// standard error stream. Only a runtime that is dropped in one of its own fibers (or in a closure of
    /// [`blocking::run`](crate::blocking::run) that such a fiber waits for) does not wait: the fiber goes on, and unwinds
    /// from its next blocking call as the others do. Nor does a destructor wait any longer whose fiber is cancelled.
    ///
    /// # Errors
    ///
    /// What has not ended after `timeout`. It is left running; the process can go on and end.
    ///
    /// # Panics
    ///
    /// When called from a fiber of this runtime, which would wait for itself.
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), ShutdownError> {
        let Some(crew) = self.crew.take_if(|crew| !crew.waits_for_caller()) else {
            panic!("a runtime cannot be shut down from one of its fibers: drop it there")
        };
        crew.end(timeout, Report::Caller)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(crew) = self.crew.take() {
            let _ = crew.end(self.shutdown_timeout, Report::Stderr);
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("workers", &self.workers()).finish_non_exhaustive()
    }
}

/// Starts a runtime with the default settings, runs `f` as its main fiber, shuts the runtime down, and returns
/// what `f` returned.
///
/// # Panics
///
/// With the panic of `f`; or if the runtime cannot be started (see [`Builder::build`]). In a fiber, which has a runtime.
///
/// ```
/// let sum = abaca::run(|| {
///     let half = abaca::spawn(|| 20);
///     22 + half.join().unwrap()
/// });
/// assert_eq!(sum, 42);
/// ```
#[track_caller]
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    assert!(
        scheduler::current_fiber().is_none(),
        "abaca::run starts a runtime and blocks its thread: in a fiber, use abaca::spawn"
    );
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("cannot start the runtime: {error}"));
    runtime.run(f)
}
