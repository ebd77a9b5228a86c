//! The runtime: its threads, the fibers that are run on it, and its shutdown.
//!
//! [`run`] starts one with the default settings, as `#[abaca::main]` does. [`Runtime::builder`] sets the number of workers,
//! limits, hooks and reports. A process may have several runtimes; each has its own workers, blocking pool and fibers.
//!
//! [`Builder`] has the settings of a runtime; those of a fiber are another type, [`abaca::Builder`](crate::Builder).
//!
//! ```
//! use abaca::Runtime;
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = Runtime::builder().workers(2).max_fibers(10_000).build()?;
//! let sum = runtime.run(|| {
//!     let half = abaca::spawn(|| 20);
//!     22 + half.join().unwrap()
//! });
//! assert_eq!(sum, 42);
//! # Ok(())
//! # }
//! ```

#![expect(unsafe_code, reason = "a main fiber borrows from the thread that waits for it")]

mod builder;
mod compacting;
mod crew;
mod deadlock;
mod dump_signal;
mod environment;
mod observing;
#[cfg(feature = "own-tls")]
mod own_tls;
mod panic_report;
mod poller;
mod recording;
#[cfg(feature = "tracing")]
mod spans;
mod stalls;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use crate::scheduler::{Activity, Stall};
pub use builder::Builder;
pub use deadlock::DeadlockPolicy;
#[cfg(feature = "own-tls")]
pub(crate) use own_tls::own_tls_by_default;
pub use poller::Poller;

use crew::{Crew, Report};

use crate::cell::{Cancelled, NoStack};
use crate::fiber::{self, JoinHandle, SpawnError};
use crate::observe::{Metrics, Server};
use crate::park::{self, Cost};
use crate::pool;
use crate::scheduler::{self, Shared};

/// The name of the fiber that [`Runtime::run`] makes.
pub(crate) const MAIN: &str = "main";

/// The error of [`Runtime::shutdown`]: some fibers did not end in time, and are left behind. Without fibers it is a worker's thread, which
/// a hook holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    /// Worker threads that still run fibers. They go on until the process ends.
    pub busy_workers: usize,
    /// Started fibers that have not ended.
    pub fibers: usize,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { busy_workers, fibers } = *self;
        if fibers == 0 {
            return f.write_str("a worker's thread did not end in time: a hook, or a destructor of a thread-local, holds it up");
        }
        let plural = |count| if count == 1 { "" } else { "s" };
        let (s, t) = (plural(fibers), plural(busy_workers));
        write!(f, "{fibers} fiber{s} on {busy_workers} worker{t} did not end in time after being cancelled")
    }
}

impl std::error::Error for ShutdownError {}

/// A running scheduler with its worker threads. A process may have several.
///
/// Dropping it shuts it down and waits for the end of its fibers, up to [`Builder::shutdown_timeout`]: see
/// [`shutdown`](Self::shutdown).
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
    /// Ended before the crew is.
    server: Option<Server>,
    /// `None` once the runtime is shut down.
    crew: Option<Crew>,
    waits: Arc<deadlock::Waits>,
    shutdown_timeout: Duration,
}

impl Runtime {
    /// Starts a runtime with the default settings.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// A builder with the default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs `f` as a fiber of this runtime, called `main`; blocks the calling thread until it returns.
    ///
    /// Unlike [`run`], it does not end the runtime: fibers that `f` has spawned go on.
    ///
    /// # Panics
    ///
    /// * With the panic of `f`.
    /// * If there is no memory for the stack of the fiber.
    /// * If the runtime's [limit of fibers](Builder::max_fibers) is reached.
    /// * If the caller is a fiber: use [`spawn`](fn@crate::spawn) there.
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// let fiber = runtime.run(|| abaca::spawn(|| 6 * 7));
    /// assert_eq!(fiber.join().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        assert!(
            scheduler::current_fiber().is_none(),
            "Runtime::run blocks its thread: in a fiber, use abaca::spawn, or of another runtime Runtime::spawn and join"
        );
        let f = || {
            let _fails = FailsCopy;
            f()
        };
        // SAFETY: closure and result are `Send`, and the join below outlives all borrows: on a plain thread, behind a
        // shield, it neither unwinds nor returns before the fiber has ended.
        let handle = unsafe { fiber::Builder::new().name(MAIN.into()).spawn_onto(&self.shared, f) };
        let handle = match handle {
            Ok(handle) => handle,
            Err(error) => panic!("failed to spawn the main fiber: {error}"),
        };
        let main = handle.fiber().clone();
        let join = || crate::park::shield(|| handle.join_veiled());
        #[cfg(feature = "own-tls")]
        let join = || crate::os::thread::waiting_for_main(join);
        let joined = self.waits.during(&main, join);
        match NoStack::of(joined) {
            Ok(Ok(result)) => result,
            Ok(Err(payload)) => match self.waits.message() {
                Some(message) if payload.is::<Cancelled>() => panic!("{message}"),
                _ => std::panic::resume_unwind(payload),
            },
            // No panic was reported: the fiber never began, for want of a stack.
            Err(error) => panic!("failed to start the main fiber: {error}"),
        }
    }

    /// Spawns a fiber on this runtime, from any thread or fiber. [`abaca::spawn`](fn@crate::spawn) says how it runs and ends.
    ///
    /// # Panics
    ///
    /// If the runtime's [limit of fibers](Builder::max_fibers) is reached; [`try_spawn`](Self::try_spawn) returns an error
    /// instead.
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// let fiber = runtime.spawn(|| 6 * 7);
    /// assert_eq!(fiber.join().unwrap(), 42); // blocks this thread
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.try_spawn(f) {
            Ok(handle) => handle,
            Err(error) => panic!("failed to spawn a fiber: {error}"),
        }
    }

    /// Like [`spawn`](Self::spawn), without its panic.
    ///
    /// # Errors
    ///
    /// * [`SpawnError::LimitReached`]: as many fibers are alive as the runtime allows.
    /// * [`SpawnError::ShuttingDown`]: the runtime has begun to shut down.
    ///
    /// ```
    /// use abaca::{Runtime, SpawnError};
    ///
    /// let runtime = Runtime::builder().max_fibers(1).build().unwrap();
    /// let first = runtime.try_spawn(abaca::park).unwrap();
    /// assert_eq!(runtime.try_spawn(|| ()).unwrap_err(), SpawnError::LimitReached { max_fibers: 1 });
    /// first.cancel();
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: closure and result are `Send` and `'static`.
        unsafe { fiber::Builder::new().spawn_onto(&self.shared, f) }
    }

    /// The number of workers.
    ///
    /// ```
    /// let runtime = abaca::Runtime::builder().workers(3).build().unwrap();
    /// assert_eq!(runtime.workers(), 3);
    /// ```
    pub fn workers(&self) -> usize {
        self.shared.workers.len()
    }

    /// The state of the runtime's [`blocking`](crate::blocking) pool.
    ///
    /// ```
    /// let runtime = abaca::Runtime::builder().workers(1).max_blocking_threads(4).build().unwrap();
    /// runtime.run(|| abaca::blocking::run(|| ()));
    /// assert_eq!(runtime.blocking_metrics().completed, 1);
    /// ```
    pub fn blocking_metrics(&self) -> pool::Metrics {
        park::spend(Cost::Call);
        self.shared.blocking.metrics()
    }

    /// What the runtime has done and has now: fibers, workers, pollers, stacks.
    ///
    /// ```
    /// let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    /// runtime.run(|| abaca::spawn(|| ()).join().unwrap());
    /// let metrics = runtime.metrics();
    /// assert_eq!((metrics.workers.len(), metrics.spawned, metrics.live), (2, 2, 0));
    /// ```
    pub fn metrics(&self) -> Metrics {
        park::spend(Cost::Call);
        Metrics::of(&self.shared)
    }

    /// Shuts the runtime down: accepts no new fibers, [cancels](crate::cancel) the fibers that are left, and waits until they
    /// have ended.
    ///
    /// A cancelled fiber unwinds from the blocking call that it is in; its destructors run. A fiber that has not started never
    /// runs. If the caller is a fiber of another runtime, it parks meanwhile; if it is cancelled, it unwinds, and the shutdown
    /// goes on without it.
    ///
    /// Dropping the runtime does the same, with [`Builder::shutdown_timeout`], and reports what has not ended on the
    /// standard error stream. It leaves alone what is a thread to the program: a fiber that `std::thread::spawn` or `pthread_create` has
    /// made (see the crate `abaca-transparent`). As with threads, it goes on until it has ended, or the process; the workers stay
    /// with it. Only if other fibers have not ended after 100 ms, which may wait for such a thread, it is cancelled as well. In two cases
    /// the destructor does not wait:
    ///
    /// * The runtime is dropped in one of its own fibers, or in a closure of [`blocking::run`](crate::blocking::run) that such
    ///   a fiber waits for. The fiber goes on, and unwinds from its next blocking call as the others do.
    /// * The fiber that drops it is cancelled: then it waits no longer.
    ///
    /// # Errors
    ///
    /// * [`ShutdownError`]: some fibers have not ended after `timeout`. They are left running; the process can go on and end. The
    ///   time is the fibers': a runtime without fibers ends well in no time.
    ///
    /// # Panics
    ///
    /// If the caller is a fiber of this runtime, which would wait for itself: drop the runtime there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = abaca::Runtime::new().unwrap();
    /// let sleeper = runtime.spawn(abaca::park);
    /// runtime.shutdown(Duration::from_secs(10)).unwrap();
    /// assert!(sleeper.join().unwrap_err().is::<abaca::Cancelled>());
    /// ```
    #[track_caller]
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), ShutdownError> {
        let Some(crew) = self.crew.take_if(|crew| !crew.waits_for_caller()) else {
            panic!("a runtime cannot be shut down from one of its fibers: drop it there")
        };
        if self.shared.is_elsewhere() {
            std::mem::forget((self.server.take(), crew));
            return Ok(());
        }
        self.server = None;
        crew.end(timeout, Report::Caller)
    }
}

/// Lives as long as the code of a main fiber. If that panics in a copy of the process by fork(2), the copy fails as if its main thread had.
struct FailsCopy;

impl Drop for FailsCopy {
    fn drop(&mut self) {
        if std::thread::panicking() && scheduler::current_worker().is_none() {
            std::process::exit(101);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.shared.is_elsewhere() {
            // There is nobody to stop, or to wait for.
            std::mem::forget((self.server.take(), self.crew.take()));
            return;
        }
        self.server = None;
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

/// Starts a runtime with the default settings, runs `f` as its main fiber, shuts the runtime down, and returns the result of `f`.
///
/// **The end of `f` is the end of all fibers.** Those that are left are [cancelled](crate::cancel): each unwinds from the
/// blocking call that it is in, and its destructors run. A fiber that has not started never runs. `run` waits for them for up
/// to 10 seconds, reports those that have not ended on the standard error stream, and returns. So join what has to be finished,
/// or spawn it in a [`scope`](crate::scope()). Threads that are fibers go on until the process ends, as threads do; see
/// [`Runtime::shutdown`].
///
/// The calling thread blocks meanwhile; it is no worker. With [`Runtime::builder`] a runtime has settings of its own.
///
/// The result crosses threads, so it must be `Send`, and `Box<dyn Error>` is not: let `f` return
/// `Result<(), Box<dyn Error + Send + Sync>>`, or use [`#[abaca::main]`](macro@crate::main), which takes either.
///
/// # Panics
///
/// * With the panic of `f`.
/// * If the runtime cannot be started; see [`Builder::build`].
/// * In a fiber, which has a runtime already.
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
    match Runtime::new() {
        Ok(runtime) => runtime.run(f),
        Err(error) => panic!("cannot start the runtime: {error}"),
    }
}
