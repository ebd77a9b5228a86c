//! The worker that a thread is given, and with which it has not begun.
//!
//! It is given and withdrawn under the lock of `Spares`; the thread takes it at any time. So a worker whose thread does not run yet is not
//! lost to the others.

use std::ptr::{self, NonNull};

use crate::atomic::{AtomicPtr, Ordering};

/// See the module's documentation. `T` is a worker.
#[derive(Debug)]
pub(super) struct Assignment<T>(AtomicPtr<T>);

impl<T> Assignment<T> {
    pub(super) fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Gives the thread `worker`. The thread has none, and was given none.
    pub(super) fn give(&self, worker: &T) {
        // Release: pairs with the Acquire in `take` and `withdraw`.
        self.0.store(ptr::from_ref(worker).cast_mut(), Ordering::Release);
    }

    /// Whether the thread was given one.
    pub(super) fn is_some(&self) -> bool {
        // Acquire: as in `take`.
        !self.0.load(Ordering::Acquire).is_null()
    }

    /// Takes back `worker`, if the thread was given it and has not begun with it.
    pub(super) fn withdraw(&self, worker: &T) -> bool {
        let given = ptr::from_ref(worker).cast_mut();
        // Acquire: pairs with the Release in `give`.
        self.0.compare_exchange(given, ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// What the thread was given. On the thread itself, which begins with it.
    pub(super) fn take(&self) -> Option<NonNull<T>> {
        // Acquire: pairs with the Release in `give`.
        NonNull::new(self.0.swap(ptr::null_mut(), Ordering::Acquire))
    }
}
