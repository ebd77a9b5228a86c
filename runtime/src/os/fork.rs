//! Tells whether this process is a copy, by fork(2), of the process that made an object.
//!
//! A copy has the same descriptors, and they refer to the same kernel objects: a descriptor that it removes from an epoll
//! instance is removed from its parent's.

#![expect(unsafe_code, reason = "a call of the C library")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of forks between this process and the one that called [`Generation::current`] first.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The number of forks when an object was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) fn current() -> Self {
        static WATCH: Once = Once::new();
        // SAFETY: the handler is static, and may be called in a child of a fork: it adds to an atomic.
        WATCH.call_once(|| unsafe {
            // If there is no memory for it, copies are not told apart.
            libc::pthread_atfork(None, None, Some(count));
        });
        Self(FORKS.load(Ordering::Relaxed))
    }

    pub(crate) fn is_current(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}

/// The id of the calling process: of a child of vfork(2), which shares this memory, another one.
#[cfg(feature = "own-tls")]
pub(crate) fn process_id() -> i32 {
    // SAFETY: it takes nothing.
    unsafe { libc::getpid() }
}

/// Calls `note`, which may only touch atomics, before each fork(2) from now on. If there is no memory for that, it never does.
#[cfg(feature = "own-tls")]
pub(crate) fn before_each(note: extern "C" fn()) {
    // SAFETY: the handler is static, and may run on any thread that forks.
    unsafe { libc::pthread_atfork(Some(note), None, None) };
}

/// Calls `begin`, which may not wait, in each copy of the process from now on. If there is no memory for that, it never does.
pub(crate) fn in_each_copy(begin: extern "C" fn()) {
    // SAFETY: the handler is static, and may run in a child of a fork.
    unsafe { libc::pthread_atfork(None, None, Some(begin)) };
}

extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
