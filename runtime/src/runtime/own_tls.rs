//! The settings of fibers with thread-local storage of their own.

use std::io;

use super::Builder;
use super::builder::invalid;
use crate::os::{barrier, storage};

/// How many threads there may be beyond one a worker, by default.
const MAX_SPARE_THREADS: usize = 256;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// `None` leaves it to the environment.
    own_tls: Option<bool>,
    pub(super) max_spare_threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { own_tls: None, max_spare_threads: MAX_SPARE_THREADS }
    }
}

impl Settings {
    /// How many bytes of each stack such storage takes; `None` if fibers share their worker's.
    pub(super) fn prepare(&self) -> io::Result<Option<usize>> {
        let is_wanted = match (self.own_tls, std::env::var("ABACA_OWN_TLS").as_deref()) {
            (Some(own_tls), _) => own_tls,
            (None, Ok("1")) => true,
            (None, Ok("0") | Err(_)) => false,
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
    /// A switch takes some 13 ns longer on x86_64, and a parked fiber 4 KiB more.
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
    #[must_use]
    pub fn own_tls(mut self, own_tls: bool) -> Self {
        self.storage.own_tls = Some(own_tls);
        self
    }

    /// Sets how many threads there may be beyond one a worker, for workers whose own thread is stuck in a fiber. Default: 256. Beyond
    /// that, and where the operating system refuses a thread, a worker stays with its thread. A thread that has had no worker for
    /// ten seconds ends.
    ///
    /// It has no effect unless fibers have [storage of their own](Self::own_tls). With 0, no worker leaves its thread.
    #[must_use]
    pub fn max_spare_threads(mut self, threads: usize) -> Self {
        self.storage.max_spare_threads = threads;
        self
    }
}
