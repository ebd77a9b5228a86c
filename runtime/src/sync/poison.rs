//! Poison: a flag beside the value which says that a holder of the lock panicked. A holder that was cancelled does not set
//! it, just as a future that was dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError};

use crate::park::primitive as park;

/// Whether a holder panicked.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

/// Made when the lock is taken. Remembers whether the thread was panicking already, in which case the holder does not poison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    was_panicking: bool,
}

impl Flag {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    #[inline]
    pub(super) fn get(&self) -> bool {
        // Relaxed, here and below: without the lock the flag is only a hint, and with it the lock orders it.
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Called after the lock has been taken.
    #[inline]
    pub(super) fn guard() -> Guard {
        Guard { was_panicking: std::thread::panicking() }
    }

    /// Called before the lock is released. Sets the flag if the holder has panicked.
    #[inline]
    pub(super) fn done(&self, guard: Guard) {
        if !guard.was_panicking && std::thread::panicking() && !park::unwinds_cancelled() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Returns `value`, as an error if a holder panicked.
    #[inline]
    pub(super) fn wrap<T>(&self, value: T) -> LockResult<T> {
        if self.get() { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}
