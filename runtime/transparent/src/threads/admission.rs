//! Whether a thread that is created gets a stack. Its fiber takes one when it starts, so `pthread_create` has returned by then, and nobody could be
//! told. Where the process's address space is limited (RLIMIT_AS), the creator therefore waits until the thread has started, or was refused.

#![expect(unsafe_code, reason = "asks the kernel")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use abaca::hook::{Sleep, sleep_at, wake_at};

use super::acquire::{ONE_KIND, beside};
use crate::kernel::kernel;

/// What is known of a thread's start.
pub(crate) struct Admission(AtomicU32);

/// Nobody asks.
const UNASKED: u32 = 0;
/// The creator waits.
const AWAITED: u32 = 1;
const STARTED: u32 = 2;
const REFUSED: u32 = 3;
/// The creator waits no more.
const LEFT: u32 = 4;

/// How long a creator waits: it may hold what the thread needs, such as the loader's lock while a library is initialised.
const PATIENCE: Duration = Duration::from_millis(200);

impl Admission {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(UNASKED))
    }

    /// Before the thread can start: its creator will [wait](Self::is_refused) if the address space is limited.
    pub(super) fn ask(&self) {
        if is_limited() {
            // Relaxed: the spawn publishes it.
            self.0.store(AWAITED, Ordering::Relaxed);
        }
    }

    /// The thread starts.
    #[inline]
    pub(super) fn start(&self) {
        // Relaxed: the creator has written it before the spawn.
        if self.0.load(Ordering::Relaxed) != UNASKED {
            self.tell(STARTED);
        }
    }

    /// There is no stack for the thread. Whether its creator learns of that.
    pub(super) fn refuse(&self) -> bool {
        self.tell(REFUSED)
    }

    #[cold]
    fn tell(&self, what: u32) -> bool {
        // Release, Acquire: what comes before it is over when the creator learns of it.
        let is_told = self.0.compare_exchange(AWAITED, what, Ordering::Release, Ordering::Relaxed).is_ok();
        if is_told {
            wake_at(self.address(), ONE_KIND, usize::MAX);
        }
        is_told
    }

    fn address(&self) -> usize {
        beside(self.0.as_ptr())
    }

    /// Waits until the thread has started or was refused, if its creator has [asked](Self::ask).
    #[inline]
    pub(super) fn is_refused(&self) -> bool {
        // Relaxed: the caller has written it.
        self.0.load(Ordering::Relaxed) != UNASKED && self.await_start()
    }

    #[cold]
    fn await_start(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let sleep = Sleep {
            address: self.address(),
            bits: ONE_KIND,
            deadline: Some(deadline),
            is_cancellable: false,
        };
        loop {
            // Relaxed: the table's lock orders it.
            sleep_at(sleep, || self.0.load(Ordering::Relaxed) == AWAITED, || ());
            match self.0.load(Ordering::Acquire) {
                AWAITED if Instant::now() < deadline => {}
                AWAITED => _ = self.0.compare_exchange(AWAITED, LEFT, Ordering::Acquire, Ordering::Acquire),
                known => return known == REFUSED,
            }
        }
    }
}

/// Whether the process has a limit of its address space. It may change at any time.
fn is_limited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel writes the limit of this process into a local.
    unsafe { kernel!(libc::SYS_prlimit64, 0, libc::RLIMIT_AS, 0, &raw mut limit) };
    limit.rlim_cur != libc::RLIM_INFINITY
}
