//! A mutual exclusion lock for the slow paths of a `no_std` crate: three states and a futex.
//!
//! It knows nothing of fibers: a thread that has to wait sleeps in the kernel. It may be held across a system call, never
//! across a switch.
#![expect(unsafe_code, reason = "a lock hands out exclusive references to what it guards")]

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::os;

/// No thread holds the lock.
const FREE: u32 = 0;
/// A thread holds it, and none sleeps: releasing it takes no system call.
const HELD: u32 = 1;
/// A thread holds it, and others may sleep: releasing it must wake one of them.
const CONTENDED: u32 = 2;

/// A value that one thread at a time can access.
pub(crate) struct Lock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: `lock` hands out one reference at a time, so sharing the lock between threads only ever moves
// access to the value from one thread to another.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    pub(crate) fn lock(&self) -> Held<'_, T> {
        // Acquire: pairs with the Release in `Held::drop`.
        if self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
        Held { lock: self }
    }

    /// `None` if a thread holds it. This may be called in a signal handler.
    pub(crate) fn try_lock(&self) -> Option<Held<'_, T>> {
        // Acquire: pairs with the Release in `Held::drop`.
        let taken = self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then(|| Held { lock: self })
    }

    /// Opens the lock in a copy of the process by fork(2), where the thread that held it is not there.
    pub(crate) fn open(&self) {
        self.state.store(FREE, Ordering::Relaxed);
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[cold]
    fn wait(&self) {
        // Acquire: pairs with the Release in `Held::drop`. Taking the lock as CONTENDED is right even if
        // no other thread waits: it costs one needless wake-up.
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            os::futex_wait(&self.state, CONTENDED);
        }
    }
}

/// Evidence that this thread holds the lock.
pub(crate) struct Held<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is one `Held` per lock at a time.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is one `Held` per lock at a time, and it is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `lock` and `wait`.
        if self.lock.state.swap(FREE, Ordering::Release) == CONTENDED {
            os::futex_wake_one(&self.lock.state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn every_increment_under_contention_counts() {
        let lock = Lock::new(0_u32);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        *lock.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), 40_000);
    }
}
