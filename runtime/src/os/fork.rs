//! Whether this process is a copy of the one that made something: the child of a fork(2).
//!
//! A copy has the same descriptors, and they lead to the same objects of the kernel: what it takes out of an epoll instance
//! is taken out of its parent's.

#![expect(unsafe_code, reason = "a call of the C library")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the one that called [`Generation::current`] first.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Which of the copies of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) fn current() -> Self {
        static WATCH: Once = Once::new();
        // SAFETY: the handler stays, and may be called in a child of a fork: it adds to an atomic.
        WATCH.call_once(|| unsafe {
            // Without memory for it the copies are not told apart, as if nobody forked.
            libc::pthread_atfork(None, None, Some(count));
        });
        Self(FORKS.load(Ordering::Relaxed))
    }

    pub(crate) fn is_current(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}

extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
