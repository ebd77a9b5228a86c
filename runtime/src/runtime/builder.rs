//! The builder: a runtime's settings and its start. The only place that reads configuration.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use abaca_asm::stack::StackPool;

use super::Runtime;
use crate::blocking::{self, Pool};
use crate::fiber::contained;
use crate::poller;
use crate::scheduler::{self, Pollers, Shared, StackSupply};

/// Who waits for the operating system's events; see [`Builder::poller`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Poller {
    /// Each worker has an epoll instance: it sleeps in it when idle, and looks at it now and then when busy.
    #[default]
    Workers,
    /// One thread waits for all events and hands the wake-ups to the workers.
    Thread,
}

/// Settings of a [`Runtime`].
///
/// ```
/// let runtime = abaca::Runtime::builder().workers(2).name("bees").build().unwrap();
/// assert_eq!(runtime.run(|| 6 * 7), 42);
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    workers: Option<usize>,
    stack_bytes: usize,
    max_fibers: usize,
    poller: Option<Poller>,
    name: String,
    shutdown_timeout: Duration,
    pub(crate) blocking: blocking::Settings,
    on_thread_start: Option<Hook>,
    on_thread_stop: Option<Hook>,
}

/// What a worker thread calls.
type Hook = Arc<dyn Fn() + Send + Sync>;

/// The usable bytes of a fiber's stack unless a builder says otherwise. A panic with a backtrace takes 22 KiB,
/// `getaddrinfo` 13 KiB; only touched pages cost memory.
const DEFAULT_STACK_BYTES: usize = 256 * 1024;

/// The most workers of one runtime.
const MAX_WORKERS: usize = 1024;

/// A worker thread that its hook has unwound would leave its fibers behind, and be missed by the shutdown.
fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        // The panic hook has reported it.
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
            blocking: blocking::Settings::default(),
            on_thread_start: None,
            on_thread_stop: None,
        }
    }
}

impl Builder {
    /// How many worker threads run fibers, 1 to 1024. Default: the environment variable `ABACA_WORKERS`, else
    /// [`std::thread::available_parallelism`].
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The usable size of a fiber's stack in bytes, rounded up to whole pages. Default: 256 KiB of address
    /// space; only touched pages cost memory.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// How many fibers may be alive at once; spawning more is a
    /// [`SpawnError::LimitReached`](crate::SpawnError::LimitReached). Default: no limit but memory.
    pub fn max_fibers(mut self, fibers: usize) -> Self {
        self.max_fibers = fibers;
        self
    }

    /// Who polls. Default: the environment variable `ABACA_POLLER` (`workers` or `thread`), else
    /// [`Poller::Workers`].
    pub fn poller(mut self, poller: Poller) -> Self {
        self.poller = Some(poller);
        self
    }

    /// The prefix of the threads' names. Default: `abaca`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long dropping the runtime (and [`abaca::run`](crate::run) at its end) waits for cancelled fibers to
    /// end before it reports them and goes on. Default: 10 seconds.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Called on each worker thread before it runs fibers: to pin it to a CPU, to set its priority. A panic of the hook
    /// is reported and otherwise ignored.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Called on each worker thread before it ends. A panic of the hook is reported and otherwise ignored.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// Starts the runtime.
    ///
    /// The first one of the process wraps the [panic hook](std::panic::set_hook): a panic in a fiber that has a name is
    /// announced with that name before the hook is called that was there. A hook that is set later takes its place.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: no workers or more than 1024, a stack of 4 GiB or more, a name with a NUL, or an environment
    ///   variable that does not parse; a blocking pool without threads.
    /// * What the operating system says when it refuses an epoll instance or a thread.
    pub fn build(self) -> io::Result<Runtime> {
        let workers = self.worker_count()?;
        let poller = self.poller_kind()?;
        if u32::try_from(self.stack_bytes).is_err() {
            return Err(invalid("stack_size is less than 4 GiB"));
        }
        if self.name.contains('\0') {
            return Err(invalid("a thread's name may not contain interior null bytes"));
        }
        super::panic_report::name_fibers();
        let pollers = match poller {
            Poller::Workers => {
                Pollers::Workers((0..workers).map(|_| poller::Poller::new()).collect::<io::Result<_>>()?)
            }
            Poller::Thread => Pollers::Thread(poller::Poller::new()?),
        };
        let stacks = StackSupply::new(StackPool::new(self.stack_bytes));
        let pool = Arc::new(Pool::new(&self.name, self.blocking.check()?));
        let shared = Shared::new(workers, stacks, pollers, pool, self.max_fibers);
        let mut runtime = Runtime {
            shared,
            threads: Vec::new(),
            ended: Arc::default(),
            shutdown_timeout: self.shutdown_timeout,
            is_shut_down: false,
        };
        for index in 0..workers {
            let name = format!("{}-worker-{index}", self.name);
            let (shared, start, stop) =
                (Arc::clone(&runtime.shared), self.on_thread_start.clone(), self.on_thread_stop.clone());
            runtime.start_thread(name, move || {
                call(start.as_ref());
                scheduler::run_worker(&shared, index);
                call(stop.as_ref());
            })?;
        }
        if poller == Poller::Thread {
            let shared = Arc::clone(&runtime.shared);
            runtime.start_thread(format!("{}-poller", self.name), move || scheduler::run_poller(&shared))?;
        }
        let shared = Arc::clone(&runtime.shared);
        runtime.start_thread(format!("{}-monitor", self.name), move || scheduler::run_monitor(&shared))?;
        Ok(runtime)
    }

    fn worker_count(&self) -> io::Result<usize> {
        let workers = match (self.workers, std::env::var("ABACA_WORKERS")) {
            (Some(workers), _) => workers,
            (None, Ok(text)) => {
                text.parse().map_err(|_| invalid("ABACA_WORKERS is a number of worker threads"))?
            }
            (None, Err(_)) => thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS),
        };
        if workers == 0 || workers > MAX_WORKERS {
            return Err(invalid("a runtime has 1 to 1024 workers"));
        }
        Ok(workers)
    }

    fn poller_kind(&self) -> io::Result<Poller> {
        match (self.poller, std::env::var("ABACA_POLLER").as_deref()) {
            (Some(poller), _) => Ok(poller),
            (None, Ok("workers") | Err(_)) => Ok(Poller::Workers),
            (None, Ok("thread")) => Ok(Poller::Thread),
            (None, Ok(_)) => Err(invalid("ABACA_POLLER is `workers` or `thread`")),
        }
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
            .finish_non_exhaustive()
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
