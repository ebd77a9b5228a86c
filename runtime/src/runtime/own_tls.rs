//! The settings of fibers with thread-local storage of their own.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::builder::invalid;
use super::{Builder, Runtime};
use crate::os::{barrier, storage};
use crate::scheduler::{SpareLimit, Spares};

impl Runtime {
    /// How many threads there are beyond one a worker: those that wait for a worker, and those that a worker has left. With the
    /// feature `own-tls`; see [`Builder::own_tls`].
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// assert_eq!(runtime.spare_threads(), 0);
    /// ```
    pub fn spare_threads(&self) -> usize {
        self.shared.spares.get().map_or(0, Spares::count)
    }

    /// How often a worker has left a thread because a fiber kept it, so far. With the feature `own-tls`; see [`Builder::own_tls`].
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// assert_eq!(runtime.hand_offs(), 0);
    /// ```
    pub fn hand_offs(&self) -> u64 {
        self.shared.spares.get().map_or(0, Spares::hand_offs)
    }

    /// How often a thread whose worker had nothing to run has exchanged it for one that slept although there was something to do, so far.
    /// With the feature `own-tls`; see [`Builder::own_tls`].
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// assert_eq!(runtime.worker_exchanges(), 0);
    /// ```
    pub fn worker_exchanges(&self) -> u64 {
        self.shared.spares.get().map_or(0, Spares::exchanges)
    }

    /// How many threads rest now: for tests.
    #[doc(hidden)]
    pub fn resting_threads(&self) -> usize {
        self.shared.spares.get().map_or(0, Spares::resting)
    }
}

/// How long a spare thread stays without a worker, by default.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Whether runtimes have own storage where neither their builder nor the environment says so.
static IS_DEFAULT: AtomicBool = AtomicBool::new(false);

/// Makes own storage the default of the runtimes that are built from now on.
///
/// # Errors
///
/// * [`Unsupported`](io::ErrorKind::Unsupported), with the reason.
pub(crate) fn own_tls_by_default() -> io::Result<()> {
    barrier::register()?;
    storage::prepare()?;
    // Relaxed: it publishes nothing.
    IS_DEFAULT.store(true, Ordering::Relaxed);
    Ok(())
}

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// `None` leaves it to the environment.
    own_tls: Option<bool>,
    pub(super) spare_limit: SpareLimit,
    /// Whether workers leave their threads as often as they can, for tests.
    pub(super) is_eager: bool,
    /// How long a spare thread waits for a worker before it ends.
    pub(super) keep_alive: Duration,
    /// How many threads may rest, whatever the load; `None` is by the load.
    pub(super) resting: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        let spare_limit = SpareLimit::default();
        Self { own_tls: None, spare_limit, is_eager: false, keep_alive: KEEP_ALIVE, resting: None }
    }
}

impl Settings {
    /// What such storage needs of each stack; `None` if fibers share their worker's.
    pub(super) fn prepare(&mut self) -> io::Result<Option<storage::Needs>> {
        let is_wanted = match (self.own_tls, std::env::var("ABACA_OWN_TLS").as_deref()) {
            (Some(own_tls), _) => own_tls,
            (None, Ok("1")) => true,
            (None, Ok("eager")) => {
                self.is_eager = true;
                true
            }
            (None, Ok("0")) => false,
            (None, Err(_)) => IS_DEFAULT.load(Ordering::Relaxed),
            (None, Ok(_)) => return Err(invalid("ABACA_OWN_TLS is 0 or 1")),
        };
        if !is_wanted {
            return Ok(None);
        }
        barrier::register()?;
        storage::prepare().map(Some)
    }
}

impl Builder {
    /// Sets whether each fiber has thread-local storage of its own, as a thread has. Default: the environment variable
    /// `ABACA_OWN_TLS` (`0` or `1`), else not. With the feature `own-tls`.
    ///
    /// Then a fiber is a thread to all code but the kernel. `thread_local!` values, [`std::thread::current`] and its id, `errno`,
    /// the owner of a re-entrant lock and the count of panics are the fiber's, and the values' destructors run at its end. It may
    /// therefore go on on another thread, in safe code:
    ///
    /// * [`Builder::spawn_roaming`](crate::Builder::spawn_roaming) spawns a fiber that any worker may resume.
    /// * A fiber that computes for long, or calls a C function that blocks, keeps nobody waiting: if others wait for its worker, the
    ///   worker leaves it behind within some milliseconds, on its thread, and goes on on a spare one.
    ///
    /// What stays the kernel thread's is told at [`fiber::pin`](crate::fiber::pin).
    ///
    /// A switch takes some 13 ns longer on x86_64, and a parked fiber 4 KiB more. In a process that was started with
    /// `GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1` in its environment libc reserves nothing for libraries with
    /// variables of fixed places, of which `dlopen` may then refuse some, and a parked fiber takes 0.6 KiB more.
    /// Each stack is at least as large as the C library's least one: 16 KiB, and on aarch64 128.
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });
    ///
    /// let builder = abaca::Runtime::builder().own_tls(true);
    /// # if cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind, abaca_corosensei)) { return; }
    /// let runtime = builder.build().unwrap();
    /// runtime.run(|| {
    ///     COUNT.set(1);
    ///     assert_eq!(abaca::spawn(|| COUNT.get()).join().unwrap(), 0);
    ///     assert_eq!(COUNT.get(), 1);
    /// });
    /// ```
    pub fn own_tls(mut self, own_tls: bool) -> Self {
        self.storage.own_tls = Some(own_tls);
        self
    }

    /// Makes workers leave their threads as often as they can, whether or not anybody waits: for tests of the hand-off.
    #[doc(hidden)]
    pub fn eager_handoff(mut self) -> Self {
        self.storage.is_eager = true;
        self
    }

    /// Sets how long a thread stays that has no worker: for tests of its end.
    #[doc(hidden)]
    pub fn spare_keep_alive(mut self, keep_alive: Duration) -> Self {
        self.storage.keep_alive = keep_alive;
        self
    }

    /// Sets how many threads may rest, whatever the load is: for tests.
    #[doc(hidden)]
    pub fn resting_threads(mut self, threads: usize) -> Self {
        self.storage.resting = Some(threads);
        self
    }

    /// Sets how many threads there may be beyond one a worker, for workers whose own thread is stuck in a fiber. Default: 256, and in
    /// a process whose threads are fibers (`abaca_transparent::threads_are_fibers`) as many more as there are fibers that wait in the kernel. Beyond
    /// that, and where the operating system refuses a thread, a worker stays with its thread; the report of a
    /// [stall](Self::stall_threshold) says so. A thread that has had no worker for ten seconds ends, unless a
    /// fiber has forked on it: to the kernel it is the parent of the child (`PR_SET_PDEATHSIG`).
    ///
    /// It has no effect unless fibers have [storage of their own](Self::own_tls). With 0, a worker leaves a thread that is
    /// stuck only for the thread of one that is idle.
    pub fn max_spare_threads(mut self, threads: usize) -> Self {
        self.storage.spare_limit = SpareLimit::of(threads);
        self
    }
}
