//! Poison: the memory that a holder of a lock panicked, kept beside the value. A holder that was cancelled is as a future
//! that was dropped: it leaves none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError};

use crate::park::primitive as park;

/// Whether a holder panicked.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

/// Taken with the lock: whether the thread was panicking already, in which case the holder does not poison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    was_panicking: bool,
}

impl Flag {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    #[inline]
    pub(super) fn get(&self) -> bool {
        // Relaxed, here and below: the flag is a hint without the lock, and ordered by the lock with it.
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The lock has just been taken.
    #[inline]
    pub(super) fn watch() -> Watch {
        Watch { was_panicking: std::thread::panicking() }
    }

    /// The lock is about to be released.
    #[inline]
    pub(super) fn settle(&self, watch: Watch) {
        if !watch.was_panicking && std::thread::panicking() && !park::unwinds_cancelled() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// `value` as an error if a holder panicked.
    #[inline]
    pub(super) fn wrap<T>(&self, value: T) -> LockResult<T> {
        if self.get() { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}
