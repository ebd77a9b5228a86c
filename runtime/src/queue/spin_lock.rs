//! A lock for critical sections of a few instructions: wait lists, channel buffers.
//!
//! The holder must not park, must not call user code and must not wait for another lock that is held for longer:
//! a waiter occupies its core. A holder that the kernel preempts is the one slow case, so a waiter spins only for
//! a while and then offers its core with `sched_yield`. Since no holder parks, a fiber never finds the lock taken
//! by a fiber of its own worker. The lock itself is one byte, its *word*, and unlocking is one store. A lock with a
//! [`Bias`] is taken without a locked instruction while one thread alone uses it.

#![expect(unsafe_code, reason = "the lock hands out references to the value it guards")]

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};

use super::bias::{Bias, Biasing, ByBias, Unbiased};
use crate::atomic::{AtomicBool, Backoff, CLOSE_BY, Ordering, UnsafeCell, const_fn};

/// See the module's documentation.
pub(crate) struct SpinLock<T, B: Biasing = Unbiased> {
    locked: AtomicBool,
    bias: B,
    value: UnsafeCell<T>,
}

impl<T> SpinLock<T> {
    /// Where its value is; for debuggers.
    pub(crate) const VALUE: usize = std::mem::offset_of!(Self, value);
}

// SAFETY: a lock owns its value, so it moves between threads as the value does.
unsafe impl<T: Send, B: Biasing> Send for SpinLock<T, B> {}
// SAFETY: a shared lock gives its value to one thread at a time, which is a move between threads. A bias is of atomics.
unsafe impl<T: Send, B: Biasing> Sync for SpinLock<T, B> {}

impl<T> SpinLock<T> {
    const_fn! {
        /// An unlocked lock around `value`.
        pub(crate) const fn new(value: T) -> Self {
            Self { locked: AtomicBool::new(false), bias: Unbiased, value: UnsafeCell::new(value) }
        }
    }

    /// Whether somebody holds it at this moment. If not, what the last holder has written is seen.
    #[cfg(all(feature = "own-tls", not(loom)))]
    #[inline(always)]
    pub(crate) fn is_locked(&self) -> bool {
        // Acquire: pairs with the Release in the guard's drop.
        self.locked.load(Ordering::Acquire)
    }
}

impl<T> SpinLock<T, Bias> {
    const_fn! {
        /// An unlocked lock around `value`, which may get a bias.
        pub(crate) const fn with_bias(value: T) -> Self {
            Self { locked: AtomicBool::new(false), bias: Bias::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Takes the lock if that is possible at once. The caller must not [`keep`](SpinGuard::keep) the guard.
    #[inline(always)]
    pub(crate) fn try_lock_by_bias(&self) -> Option<SpinGuard<'_, T, Bias>> {
        if self.bias.enter(&self.locked) {
            return Some(SpinGuard { lock: self, held: ByBias(true), on_one_thread: PhantomData });
        }
        self.try_lock()
    }
}

impl<T, B: Biasing> SpinLock<T, B> {
    /// Takes the lock, spinning while another thread holds it.
    #[inline]
    pub(crate) fn lock(&self) -> SpinGuard<'_, T, B> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.lock_contended(),
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T, B>> {
        // Acquire: pairs with the Release in the guard's drop, so that the last holder's writes are seen.
        let result = self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        if result.is_err() {
            return None;
        }
        if !self.bias.settle() {
            // Release: hands on what the Acquire has brought.
            self.locked.store(false, Ordering::Release);
            return None;
        }
        Some(SpinGuard { lock: self, held: B::BY_WORD, on_one_thread: PhantomData })
    }

    /// Restores the guard that [`SpinGuard::keep`] has given up.
    ///
    /// # Safety
    ///
    /// The caller's thread has kept a guard of this lock, and this is its first use since.
    #[inline]
    pub(crate) unsafe fn resume(&self) -> SpinGuard<'_, T, B> {
        SpinGuard { lock: self, held: B::BY_WORD, on_one_thread: PhantomData }
    }

    /// Makes the lock one that is free, around `value`, whatever it is now. The old value is not dropped.
    ///
    /// # Safety
    ///
    /// The caller is the only thread: its process is a copy by fork(2), and what others held or were changing is nobody's.
    #[cfg(feature = "own-tls")]
    pub(crate) unsafe fn begin_anew(&self, value: T) {
        // SAFETY: the caller's promise: nobody else has a reference.
        self.value.with_mut(|place| unsafe { place.write(value) });
        // Relaxed: there is no other thread.
        self.locked.store(false, Ordering::Relaxed);
    }

    #[cold]
    fn lock_contended(&self) -> SpinGuard<'_, T, B> {
        let mut backoff = Backoff::new(CLOSE_BY);
        loop {
            // Waiting with loads leaves the cache line shared, so the holder's store is not slowed by the waiters.
            while self.locked.load(Ordering::Relaxed) {
                backoff.pause();
            }
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug, B: Biasing> fmt::Debug for SpinLock<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Printing must not wait: dumps are printed when something hangs.
        match self.try_lock() {
            Some(value) => f.debug_tuple("SpinLock").field(&*value).finish(),
            None => f.write_str("SpinLock(<locked>)"),
        }
    }
}

/// A guard: the lock is held while it lives.
#[must_use = "the lock is released when the guard drops"]
pub(crate) struct SpinGuard<'a, T, B: Biasing = Unbiased> {
    lock: &'a SpinLock<T, B>,
    held: B::Held,
    /// The guard is neither `Send`, which would invite holding it for long, nor `Sync`, which would share a `T` that
    /// may not be `Sync`.
    on_one_thread: PhantomData<*const ()>,
}

impl<'a, T, B: Biasing> SpinGuard<'a, T, B> {
    /// The lock that is held, for a holder that must take the same one again. Not a method, so that it does not
    /// hide a method of the value.
    pub(crate) fn lock_of(guard: &Self) -> &'a SpinLock<T, B> {
        guard.lock
    }

    /// Gives up the guard and keeps the lock held, until [`SpinLock::resume`]. For a holder of several locks of
    /// different types. The guard came from `lock` or `try_lock`.
    #[inline]
    pub(crate) fn keep(guard: Self) {
        mem::forget(guard);
    }
}

impl<T, B: Biasing> Deref for SpinGuard<'_, T, B> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so no other thread reaches the value; `&self` excludes `deref_mut`.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T, B: Biasing> DerefMut for SpinGuard<'_, T, B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, so no other thread reaches the value; `&mut self` excludes other borrows.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T, B: Biasing> Drop for SpinGuard<'_, T, B> {
    #[inline]
    fn drop(&mut self) {
        self.lock.bias.release(&self.lock.locked, self.held);
    }
}

impl<T: fmt::Debug, B: Biasing> fmt::Debug for SpinGuard<'_, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn one_guard_exists_at_a_time_and_frees_the_lock() {
        let lock = SpinLock::new(1);
        let mut guard = lock.lock();
        *guard += 1;
        assert!(lock.try_lock().is_none());
        assert_eq!(format!("{lock:?} {guard:?}"), "SpinLock(<locked>) 2");
        drop(guard);
        assert_eq!(lock.try_lock().map(|guard| *guard), Some(2));
        assert_eq!(format!("{lock:?}"), "SpinLock(2)");
    }

    #[test]
    fn an_owner_does_not_take_its_lock_twice() {
        let _ = crate::os::barrier::register();
        let lock = SpinLock::with_bias(0);
        for count in 0..3_000 {
            let held = lock.try_lock_by_bias().expect("the lock is free");
            assert!(lock.try_lock_by_bias().is_none() && lock.try_lock().is_none(), "{count}");
            assert_eq!(format!("{lock:?}"), "SpinLock(<locked>)");
            drop(held);
        }
        let held = lock.try_lock().expect("the lock is free");
        assert!(lock.try_lock_by_bias().is_none() && lock.try_lock().is_none());
        drop(held);
    }

    #[test]
    fn an_owner_and_others_never_overlap_in_the_lock() {
        const THREADS: u32 = 3;
        let _ = crate::os::barrier::register();
        for rounds in [1, 1_000, 3_000, 20_000] {
            let lock = SpinLock::with_bias((0, 0));
            let count = |times: u32| {
                for _ in 0..times {
                    let mut counters = lock.try_lock_by_bias().unwrap_or_else(|| lock.lock());
                    counters.0 += 1;
                    assert_eq!(counters.0, counters.1 + 1);
                    counters.1 += 1;
                }
            };
            count(2_000);
            std::thread::scope(|scope| {
                for _ in 1..THREADS {
                    scope.spawn(|| count(rounds));
                }
                count(rounds);
            });
            let all = 2_000 + THREADS * rounds;
            assert_eq!(*lock.lock(), (all, all));
        }
    }

    #[test]
    fn threads_never_overlap_in_the_lock() {
        const THREADS: usize = 4;
        const ROUNDS: usize = 20_000;
        // Two counters that differ only inside a critical section.
        let lock = SpinLock::new((0, 0));
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..ROUNDS {
                        let mut counters = lock.lock();
                        counters.0 += 1;
                        assert_eq!(counters.0, counters.1 + 1);
                        counters.1 += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), (THREADS * ROUNDS, THREADS * ROUNDS));
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn model_a_holder_sees_what_the_last_holder_wrote() {
        loom::model(|| {
            let lock = Arc::new(SpinLock::new(0));
            let other = {
                let lock = Arc::clone(&lock);
                thread::spawn(move || {
                    *lock.lock() += 1;
                    lock.try_lock().map(|mut value| *value += 1).is_some()
                })
            };
            *lock.lock() += 1;
            let tried = other.join().unwrap();
            assert_eq!(*lock.lock(), 2 + u32::from(tried));
        });
    }

    fn lock_by_bias(lock: &SpinLock<u32, Bias>) -> SpinGuard<'_, u32, Bias> {
        lock.try_lock_by_bias().unwrap_or_else(|| lock.lock())
    }

    #[test]
    fn model_an_owner_and_another_thread_exclude_each_other() {
        loom::model(|| {
            let lock = Arc::new(SpinLock::with_bias(0));
            // The second time makes the lock this thread's.
            (0..2).for_each(|_| *lock_by_bias(&lock) += 1);
            let other = {
                let lock = Arc::clone(&lock);
                thread::spawn(move || (0..2).for_each(|_| *lock_by_bias(&lock) += 1))
            };
            *lock_by_bias(&lock) += 1;
            // The owner may take it by its word as well.
            *lock.lock() += 1;
            other.join().unwrap();
            assert_eq!(*lock.lock(), 6);
        });
    }

    #[test]
    fn model_two_threads_revoke_a_bias_at_once() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let lock = Arc::new(SpinLock::with_bias(0));
            (0..2).for_each(|_| *lock_by_bias(&lock) += 1);
            let others = [(); 2].map(|()| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || *lock_by_bias(&lock) += 1)
            });
            *lock_by_bias(&lock) += 1;
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(*lock.lock(), 5);
        });
    }

    #[test]
    fn model_threads_that_take_turns_make_the_lock_theirs() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let lock = Arc::new(SpinLock::with_bias(0));
            let other = {
                let lock = Arc::clone(&lock);
                thread::spawn(move || (0..3).for_each(|_| *lock_by_bias(&lock) += 1))
            };
            (0..3).for_each(|_| *lock_by_bias(&lock) += 1);
            other.join().unwrap();
            assert_eq!(*lock.lock(), 6);
        });
    }
}
