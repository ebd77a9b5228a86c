//! `Mutex`: std's, for fibers and threads alike. This file owns the value, the guard and the poison; the
//! protocol is in `raw_mutex`.

#![expect(unsafe_code, reason = "a lock hands out references to what it guards")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, TryLockError, TryLockResult};

use super::poison::{Flag, Guard};
use super::raw_mutex::{Cancelled, RawMutex};
use crate::atomic::const_fn;
use crate::park::primitive::{self as park, Cost};

/// Mutual exclusion around a value, as [`std::sync::Mutex`], for fibers and plain threads.
///
/// A fiber that finds the mutex locked parks, and its worker runs other fibers; a plain thread blocks. A fiber may
/// hold the guard while it parks for something else: the others then wait that long.
///
/// # Fairness
///
/// A running fiber takes a free mutex even if others have waited longer. A waiter that still loses after more than a
/// millisecond is handed the mutex directly by the next unlock.
///
/// # Poisoning
///
/// As in `std`: a guard that is dropped by a panic poisons the mutex. A guard that is dropped by a cancellation (of its
/// fiber, or by a timeout) does not, just as a future that is dropped while it holds one.
///
/// # Examples
///
/// ```
/// use abaca::sync::Mutex;
///
/// static TOTAL: Mutex<u64> = Mutex::new(0);
///
/// std::thread::scope(|scope| {
///     for n in 0..4 {
///         scope.spawn(move || *TOTAL.lock().unwrap() += n);
///     }
/// });
/// assert_eq!(*TOTAL.lock().unwrap(), 6);
/// ```
pub struct Mutex<T: ?Sized> {
    pub(super) raw: RawMutex,
    pub(super) poison: Flag,
    value: UnsafeCell<T>,
}

// SAFETY: moving the mutex moves the value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: `raw` admits one holder at a time, so threads pass the value on but never share it.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// A value that a panic has left half-changed is seen only through poisoning.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// A guard that gives access to the value of a locked [`Mutex`]. Dropping it unlocks the mutex.
///
/// As `std`'s, it is not `Send`: a fiber stays on the worker on which it started, so a guard never changes threads.
/// A roaming fiber (`unsafe Builder::spawn_roaming_unchecked`) may still hold one while it parks: nothing in a guard belongs to
/// a thread.
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// let mutex = abaca::sync::Mutex::new(());
/// is_send(mutex.lock());
/// ```
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    pub(super) mutex: &'a Mutex<T>,
    pub(super) poison_guard: Guard,
    /// `Sync` if `T` is, never `Send`.
    auto_traits: PhantomData<std::sync::MutexGuard<'a, T>>,
}

// SAFETY: a shared guard gives shared references to the value, which may be used from several threads.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// Creates an unlocked mutex around `value`.
        ///
        /// # Examples
        ///
        /// ```
        /// let mutex = abaca::sync::Mutex::new(7);
        /// assert_eq!(*mutex.lock().unwrap(), 7);
        /// ```
        pub const fn new(value: T) -> Self {
            Self { raw: RawMutex::new(), poison: Flag::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Consumes the mutex and returns the value.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the error contains the value.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = abaca::sync::Mutex::new(vec![1]);
    /// mutex.lock().unwrap().push(2);
    /// assert_eq!(mutex.into_inner().unwrap(), [1, 2]);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.wrap(self.value.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, waiting until it is free.
    ///
    /// A fiber or thread that locks it again while it holds the guard waits for ever. A fiber that is cancelled while it waits
    /// unwinds without the lock.
    ///
    /// # Errors
    ///
    /// If another holder panicked. The mutex is locked all the same, and the error contains the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = abaca::sync::Mutex::new(0);
    /// *mutex.lock().unwrap() += 1;
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        self.locked()
    }

    /// Locks the mutex if it is free, without waiting.
    ///
    /// # Errors
    ///
    /// * [`TryLockError::WouldBlock`]: the mutex is locked.
    /// * [`TryLockError::Poisoned`]: another holder panicked. The mutex is locked, and the error contains the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = abaca::sync::Mutex::new(0);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// # drop(guard);
    /// ```
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        park::spend(Cost::Call);
        if self.raw.try_lock() {
            return Ok(self.locked()?);
        }
        park::spend(Cost::TryFailed);
        Err(TryLockError::WouldBlock)
    }

    /// Whether a holder panicked. Without the lock the answer may be out of date at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Arc, Mutex};
    ///
    /// let mutex = Arc::new(Mutex::new(0));
    /// let theirs = Arc::clone(&mutex);
    /// let _ = std::thread::spawn(move || {
    ///     let _guard = theirs.lock().unwrap();
    ///     panic!("the mutex is poisoned");
    /// })
    /// .join();
    /// assert!(mutex.is_poisoned());
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        park::spend(Cost::Call);
        self.poison.get()
    }

    /// Clears the poison: the value is declared to be in order again.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Arc, Mutex};
    ///
    /// let mutex = Arc::new(Mutex::new(0));
    /// let theirs = Arc::clone(&mutex);
    /// let _ = std::thread::spawn(move || {
    ///     let _guard = theirs.lock().unwrap();
    ///     panic!("the mutex is poisoned");
    /// })
    /// .join();
    /// let mut value = mutex.lock().unwrap_or_else(|error| error.into_inner());
    /// *value = 1;
    /// mutex.clear_poison();
    /// drop(value);
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// A mutable reference to the value, without locking: the exclusive borrow proves that there is no other holder.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the error contains the reference.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut mutex = abaca::sync::Mutex::new(0);
    /// *mutex.get_mut().unwrap() = 1;
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.value.get_mut())
    }

    /// The guard for the lock that the caller has just taken.
    #[inline]
    fn locked(&self) -> LockResult<MutexGuard<'_, T>> {
        self.poison.wrap(MutexGuard { mutex: self, poison_guard: Flag::guard(), auto_traits: PhantomData })
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.value.get()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Ends the guard without unlocking or poisoning. The caller takes over the lock.
    pub(super) fn into_held(guard: Self) -> Held<'a, T> {
        let mutex = guard.mutex;
        std::mem::forget(guard);
        Held(mutex)
    }
}

/// A mutex whose lock is held without a guard, for a condition variable.
#[derive(Debug)]
pub(super) struct Held<'a, T: ?Sized>(&'a Mutex<T>);

impl<'a, T: ?Sized> Held<'a, T> {
    /// Releases the lock.
    pub(super) fn unlock(self) -> Released<'a, T> {
        self.0.raw.unlock();
        Released(self.0)
    }
}

/// A mutex that was released to wait for a condition.
#[derive(Debug)]
pub(super) struct Released<'a, T: ?Sized>(&'a Mutex<T>);

impl<'a, T: ?Sized> Released<'a, T> {
    /// Takes the lock again.
    pub(super) fn lock(self) -> Result<LockResult<MutexGuard<'a, T>>, Cancelled> {
        self.0.raw.lock_unless_cancelled()?;
        Ok(self.0.locked())
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a guard exists only while its holder has the lock, and there is only one guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.poison.done(self.poison_guard);
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => out.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => out.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => out.field("data", &"<locked>"),
        };
        out.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
