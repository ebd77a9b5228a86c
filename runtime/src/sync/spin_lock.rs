//! Stand-in for `crate::queue::SpinLock` until that lands.

#![expect(unsafe_code, reason = "a lock hands out references to what it guards")]

use std::ops::{Deref, DerefMut};

use crate::atomic::{AtomicBool, Ordering, UnsafeCell, spin_loop, thread_yield};

#[derive(Debug)]
pub(crate) struct SpinLock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the flag admits one thread at a time to the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: Send> Send for SpinLock<T> {}

#[derive(Debug)]
pub(crate) struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
}

impl<T> SpinLock<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: T) -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    #[cfg(loom)]
    pub(crate) fn new(value: T) -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    #[inline]
    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        if self.locked.swap(true, Ordering::Acquire) {
            self.lock_contended();
        }
        SpinGuard { lock: self }
    }

    #[cold]
    fn lock_contended(&self) {
        let mut spins = 0_u32;
        loop {
            if self.locked.load(Ordering::Relaxed) {
                if spins < 100 && !cfg!(loom) {
                    spin_loop();
                    spins += 1;
                } else {
                    thread_yield();
                }
            } else if !self.locked.swap(true, Ordering::Acquire) {
                return;
            }
        }
    }
}

impl<'a, T> SpinGuard<'a, T> {
    /// The lock that this guard holds.
    pub(crate) fn lock_of(guard: &Self) -> &'a SpinLock<T> {
        guard.lock
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard exists only while the flag is held.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.locked.store(false, Ordering::Release);
    }
}
