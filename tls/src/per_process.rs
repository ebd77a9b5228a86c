//! A value behind a lock, with which each copy of the process by fork(2) begins anew. What another thread of the original had locked just then would
//! stay locked in the copy for ever.
#![expect(unsafe_code, reason = "values that are never freed, and a call of libc's")]

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The forks between this process and the one that locked such a value first.
static FORKS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// How many forks there were. They are counted from the first call on; if there is no memory for that, none is.
fn forks() -> u32 {
    /// No `Once`: a fork could catch that, too. Two threads may come at once: then each fork is two.
    static ARE_COUNTED: AtomicBool = AtomicBool::new(false);
    // Relaxed: who does not see it sets it up again.
    if !ARE_COUNTED.load(Ordering::Relaxed) {
        // SAFETY: the handler is a function of ours, and adds to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(count)) };
        ARE_COUNTED.store(true, Ordering::Relaxed);
    }
    FORKS.load(Ordering::Relaxed)
}

/// See the module's documentation. The value of a process is never freed: a thread of a copy may be about to look at its original's.
pub(crate) struct PerProcess<T> {
    /// The value of this process, or of the one of which this is a copy. Null before the first.
    current: AtomicPtr<Owned<T>>,
    first: fn() -> T,
}

struct Owned<T> {
    forks: u32,
    value: Mutex<T>,
}

impl<T> PerProcess<T> {
    /// `first` makes the value with which a process begins.
    pub(crate) const fn new(first: fn() -> T) -> Self {
        Self { current: AtomicPtr::new(null_mut()), first }
    }

    /// Locks the value of this process.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let forks = forks();
        // Acquire, here and below: pairs with the Release below, so that a value is seen as it was made.
        let mut at = self.current.load(Ordering::Acquire);
        let value = loop {
            // SAFETY: made by `Box` below, and never freed.
            if let Some(owned) = unsafe { at.as_ref() }
                && owned.forks == forks
            {
                break &owned.value;
            }
            let made = Box::into_raw(Box::new(Owned { forks, value: Mutex::new((self.first)()) }));
            match self.current.compare_exchange(at, made, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => at = made,
                Err(now) => {
                    // SAFETY: made above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    at = now;
                }
            }
        };
        value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
