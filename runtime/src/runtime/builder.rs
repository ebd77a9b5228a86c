//! The builder: the settings of a runtime, and its start. `environment.rs` reads the environment.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use abaca_asm::stack::DEFAULT_STACK_BYTES;

use super::Runtime;
use super::crew::Crew;
use super::deadlock::{self, DeadlockPolicy};
use super::dump_signal;
use super::poller::Poller;
use crate::cell::contained;
use crate::observe::flight::Recorder;
use crate::poller;
use crate::pool::{self, Pool};
use crate::scheduler::{self, Hooks, Pollers, Reporting, Shared, StackSupply};

/// Settings of a [`Runtime`]: workers, stacks, limits, hooks and reports. Made by [`Runtime::builder`].
///
/// The settings of a single fiber are another type, [`abaca::Builder`](crate::Builder).
///
/// ```
/// let runtime = abaca::Runtime::builder().workers(2).name("bees").build().unwrap();
/// assert_eq!(runtime.run(|| 6 * 7), 42);
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    pub(super) workers: Option<usize>,
    stack_bytes: usize,
    max_fibers: usize,
    pub(super) poller: Option<Poller>,
    name: String,
    shutdown_timeout: Duration,
    pub(crate) blocking: pool::Settings,
    on_thread_start: Option<Hook>,
    on_thread_stop: Option<Hook>,
    pub(super) hooks: Hooks,
    pub(super) reporting: Reporting,
    pub(super) recorder: Option<Recorder>,
    pub(super) observe_at: Option<PathBuf>,
    pub(super) deadlock: DeadlockPolicy,
    pub(super) dump_on_sigquit: bool,
    pub(super) compact_after: Option<Duration>,
    #[cfg(feature = "own-tls")]
    pub(super) storage: super::own_tls::Settings,
}

/// A callback that worker threads call.
type Hook = Arc<dyn Fn() + Send + Sync>;

/// Calls a hook and contains its panic: a worker thread that unwinds would leave its fibers behind, and the shutdown would wait
/// for it.
fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        // The panic hook has reported the panic.
        contained(|| hook());
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: None,
            stack_bytes: DEFAULT_STACK_BYTES,
            max_fibers: usize::MAX,
            poller: None,
            name: "abaca".into(),
            shutdown_timeout: Duration::from_secs(10),
            blocking: pool::Settings::default(),
            on_thread_start: None,
            on_thread_stop: None,
            hooks: Hooks::default(),
            reporting: Reporting::default(),
            recorder: None,
            observe_at: None,
            deadlock: DeadlockPolicy::default(),
            dump_on_sigquit: false,
            compact_after: None,
            #[cfg(feature = "own-tls")]
            storage: super::own_tls::Settings::default(),
        }
    }
}

impl Builder {
    /// Sets the number of worker threads, which run the fibers: 1 to 1024. Default: the environment variable
    /// `ABACA_WORKERS`, else [`std::thread::available_parallelism`].
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the usable size of a fiber's stack in bytes, rounded up to whole pages and to at least 16 KiB, less than 4 GiB. Default: 256 KiB in a
    /// release build; 2 MiB, as much as std gives a thread, in a build with debug assertions, whose frames are several
    /// times as large. [`Builder::stack_size`](crate::Builder::stack_size) sets it for one fiber.
    ///
    /// This is address space: only pages that are touched cost memory, and each page, touched or not, 8 bytes of page table.
    /// Some common calls touch, in a release build:
    ///
    /// | call | KiB |
    /// |---|---|
    /// | a look-up of a host name, a TLS handshake, a panic with a backtrace | 20 to 24 |
    /// | compiling and matching a small regex | 24 |
    /// | the same with a hundred nested groups | 132 |
    /// | JSON that is nested as deeply as serde allows | 32 |
    /// | `{:#?}` of 400 nested values | 160 |
    ///
    /// If a fiber overflows its stack, the process ends by SIGSEGV, after a report that names the fiber and says what to raise.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// Sets how many fibers may be alive at once. Beyond that, spawning fails with
    /// [`SpawnError::LimitReached`](crate::SpawnError::LimitReached). Default: no limit but memory.
    pub fn max_fibers(mut self, fibers: usize) -> Self {
        self.max_fibers = fibers;
        self
    }

    /// Sets the prefix of the threads' names. Default: `abaca`, for `abaca-worker-0` and so on. It must not contain a NUL.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many threads the [`blocking`](crate::blocking) pool may have: 1 or more. Default: 512, or no limit in a process
    /// whose threads are fibers (`abaca_transparent::threads_are_fibers`): their calls may wait for each other.
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.blocking.max_threads = Some(threads);
        self
    }

    /// Sets how long a thread of the [`blocking`](crate::blocking) pool stays without work before it ends. Zero ends it
    /// at once. Default: 10 seconds.
    pub fn blocking_keep_alive(mut self, keep_alive: Duration) -> Self {
        self.blocking.keep_alive = keep_alive;
        self
    }

    /// Sets how long dropping the runtime waits for cancelled fibers to end, before it reports them and returns. Default: 10
    /// seconds, also at the end of [`abaca::run`](fn@crate::run).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = abaca::Runtime::builder().shutdown_timeout(Duration::from_secs(1));
    /// let runtime = builder.build().unwrap();
    /// runtime.spawn(abaca::park);
    /// drop(runtime); // cancels the fiber and waits for its end, for at most a second
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Sets a hook that each worker thread calls before it runs fibers: to pin it to a CPU, to set its priority. A panic of the
    /// hook is reported and otherwise ignored. Where workers may change their threads (`own_tls`), spare threads call it as well.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    ///
    /// static STARTED: AtomicU32 = AtomicU32::new(0);
    /// let builder = abaca::Runtime::builder().workers(2).on_thread_start(|| _ = STARTED.fetch_add(1, SeqCst));
    /// let runtime = builder.build().unwrap();
    /// runtime.run(|| assert!(STARTED.load(SeqCst) >= 1));
    /// ```
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that each thread that has called that of [`on_thread_start`](Self::on_thread_start) calls before it ends. A panic
    /// of the hook is reported and otherwise ignored.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that is called around the life of each fiber, in the fiber. Its argument, `run`, runs the fiber's closure
    /// and the destructors of its fiber-local values. Together with [`around_park`](Self::around_park), it lets state that a
    /// library keeps per thread belong to the fiber.
    ///
    /// If the hook does not call `run`, `run` is called after the hook has returned. A second call of `run` does nothing. A
    /// panic of the hook is reported and otherwise ignored. Later calls of this method replace the hook.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// static ALIVE: AtomicU32 = AtomicU32::new(0);
    /// let runtime = abaca::Runtime::builder().around_fiber(|run| {
    ///     ALIVE.fetch_add(1, Relaxed);
    ///     run();
    ///     ALIVE.fetch_sub(1, Relaxed);
    /// });
    /// assert_eq!(runtime.build().unwrap().run(|| ALIVE.load(Relaxed)), 1);
    /// ```
    pub fn around_fiber(mut self, hook: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        self.hooks.fiber = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that is called around each park of a fiber. Its argument, `park`, lets other fibers run on the worker, and
    /// returns when this fiber goes on. So the hook saves the fiber's state before it calls `park`, and restores it afterwards.
    /// At the beginning and at the end of the fiber, [`around_fiber`](Self::around_fiber) is called instead.
    ///
    /// The hook runs on the fiber's stack, but as part of the thread: it has no current fiber, a blocking call in it
    /// blocks the worker, and it must not wait for a fiber. Calls of `park`, and panics, are treated as there. A hook costs
    /// each park two calls; without a hook, no park is slower.
    ///
    /// # A library that keeps state per thread
    ///
    /// The crate `stacker` stores for each thread where its stack ends. A fiber that parks inside of `stacker::grow` would
    /// leave that limit to the next fiber, whose deep recursion would then go unnoticed. `stacker` restores the former limit
    /// when a call of `grow` ends. So a coroutine that is inside of such a call while the fiber is parked saves and restores
    /// it. This costs a park some microseconds.
    ///
    /// ```
    /// # fn main() {
    /// use abaca::coroutine::Coroutine;
    ///
    /// let runtime = abaca::Runtime::builder()
    ///     // A stack whose end stacker knows.
    ///     .around_fiber(|run| stacker::grow(256 * 1024, run))
    ///     .around_park(|park| {
    ///         let mut kept = Coroutine::new(|kept, ()| stacker::grow(4096, || kept.suspend(())));
    ///         kept.resume(()); // saves
    ///         park();
    ///         kept.resume(()); // restores
    ///     })
    ///     .build()
    ///     .unwrap();
    /// runtime.run(|| {
    ///     let before = stacker::remaining_stack().unwrap() / 4096;
    ///     let other = abaca::spawn_local(|| stacker::grow(1 << 20, abaca::park));
    ///     abaca::yield_now();
    ///     assert_eq!(stacker::remaining_stack().unwrap() / 4096, before);
    ///     other.fiber().unpark();
    ///     other.join().unwrap();
    /// });
    /// # }
    /// ```
    pub fn around_park(mut self, hook: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        self.hooks.park = Some(Arc::new(hook));
        self
    }

    /// Starts the runtime.
    ///
    /// The first runtime of the process wraps the [panic hook](std::panic::set_hook): if a fiber that has a name panics, a line
    /// with the name is written before the former hook is called. A hook that is set later replaces both.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::InvalidInput`](io::ErrorKind::InvalidInput): no workers or more than 1024, a stack of 4 GiB or more, a
    ///   name with a NUL, a blocking pool without threads, a flight recorder of more than 2^32 events, or a value of an environment
    ///   variable that does not parse.
    /// * [`ErrorKind::Unsupported`](io::ErrorKind::Unsupported): fibers are to have thread-local storage of their own, and this
    ///   machine or build cannot do that. The error says why.
    /// * [`ErrorKind::PermissionDenied`](io::ErrorKind::PermissionDenied), or `Unsupported`: stacks are to be
    ///   [compacted](Self::compact_after), and the process may or can not do that. The error says why.
    /// * [`ErrorKind::AddrInUse`](io::ErrorKind::AddrInUse): there is a file where the runtime is to be [observed](Self::observe_at), and no abandoned socket.
    /// * The error of the operating system, if it refuses an epoll instance, a timer, a thread, or memory for one stack a worker.
    pub fn build(mut self) -> io::Result<Runtime> {
        let workers = self.worker_count()?;
        let poller = self.poller_kind()?;
        if u32::try_from(self.stack_bytes).is_err() {
            return Err(invalid("stack_size is less than 4 GiB"));
        }
        if self.name.contains('\0') {
            return Err(invalid("a thread's name may not contain interior null bytes"));
        }
        if self.recorder.as_ref().is_some_and(|recorder| recorder.events > Recorder::MAX_EVENTS) {
            return Err(invalid("a flight recorder keeps at most 2^32 events a worker"));
        }
        super::panic_report::name_fibers();
        scheduler::forked::watch_forks();
        // Before there are other threads, which make it slow.
        #[cfg(not(loom))]
        crate::os::barrier::register_if_alone();
        let pollers = match poller {
            Poller::Workers => {
                Pollers::Workers((0..workers).map(|_| poller::Poller::new()).collect::<io::Result<_>>()?)
            }
            Poller::Thread => Pollers::Thread(poller::Poller::new()?),
        };
        #[cfg(feature = "own-tls")]
        let needs = self.storage.prepare()?;
        #[cfg(feature = "own-tls")]
        let stacks = match needs {
            Some(needs) => StackSupply::with_blocks(self.stack_bytes, needs),
            None => StackSupply::new(self.stack_bytes),
        };
        #[cfg(not(feature = "own-tls"))]
        let stacks = StackSupply::new(self.stack_bytes);
        if self.compact_after.is_some() {
            super::compacting::prepare(stacks.has_blocks())?;
        }
        #[cfg(feature = "tracing")]
        self.hooks.need_no_spans_if(stacks.has_blocks());
        let looks = !matches!(self.deadlock, DeadlockPolicy::Ignore);
        self.reporting.tells_quiet = looks;
        let blocking = Arc::new(Pool::new(&self.name, self.blocking.check()?));
        let socket_path = self.socket_path();
        let shared =
            Shared::new(workers, stacks, pollers, blocking, self.max_fibers, self.hooks, self.reporting)?;
        if let Some(time) = self.compact_after {
            let _ = shared.compact_after.set(time);
        }
        let records_at_signal = super::recording::start(&shared, self.recorder.as_ref());
        let crew = Crew::new(Arc::clone(&shared));
        let waits = Arc::default();
        if looks {
            let (weak, roster) = (Arc::downgrade(&shared), crew.roster());
            let on_quiet = deadlock::on_quiet(weak, &roster, Arc::clone(&waits), self.deadlock);
            let _ = shared.on_quiet.set(Box::new(on_quiet));
        }
        let mut runtime = Runtime {
            shared: Arc::clone(&shared),
            crew: Some(crew),
            server: None,
            waits,
            shutdown_timeout: self.shutdown_timeout,
        };
        let crew = runtime.crew.as_mut().expect("it has not ended");
        #[cfg(feature = "own-tls")]
        if needs.is_some() {
            let (roster, name) = (crew.roster(), format!("{}-spare", self.name));
            let (start, stop) = (self.on_thread_start.clone(), self.on_thread_stop.clone());
            let weak = Arc::downgrade(&shared);
            let start_spare = move || {
                let Some(shared) = weak.upgrade() else { return Ok(()) };
                let (start, stop) = (start.clone(), stop.clone());
                roster.start_thread(name.clone(), move || {
                    scheduler::begin_spare(&shared);
                    call(start.as_ref());
                    scheduler::run_spare(&shared);
                    call(stop.as_ref());
                })
            };
            let storage = self.storage;
            scheduler::set_spares(
                &shared,
                storage.spare_limit,
                storage.is_eager,
                storage.keep_alive,
                storage.resting,
                Box::new(start_spare),
            );
        }
        for index in 0..workers {
            let name = format!("{}-worker-{index}", self.name);
            let (shared, start, stop) =
                (Arc::clone(&shared), self.on_thread_start.clone(), self.on_thread_stop.clone());
            crew.start_thread(name, move || {
                call(start.as_ref());
                scheduler::run_worker(&shared, index);
                call(stop.as_ref());
            })?;
        }
        if poller == Poller::Thread {
            let shared = Arc::clone(&shared);
            crew.start_thread(format!("{}-poller", self.name), move || scheduler::run_poller(&shared))?;
        }
        let weak = Arc::downgrade(&shared);
        crew.start_thread(format!("{}-monitor", self.name), move || scheduler::run_monitor(&shared))?;
        runtime.server = socket_path.map_or(Ok(None), |path| path.serve(weak.clone()))?;
        if self.dump_on_sigquit || records_at_signal {
            let (listener, body) = dump_signal::listen(self.dump_on_sigquit, weak)?;
            crew.listener = Some(listener);
            crew.start_thread(format!("{}-sigquit", self.name), body)?;
        }
        Ok(runtime)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("stack_bytes", &self.stack_bytes)
            .field("max_fibers", &self.max_fibers)
            .field("poller", &self.poller)
            .field("name", &self.name)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .field("blocking", &self.blocking)
            .field("reporting", &self.reporting)
            .finish_non_exhaustive()
    }
}

pub(super) fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
