//! `RwLock`: std's, for fibers and threads alike. This file owns the value, the guards and the poison; the protocol is
//! in `raw_rw_lock`.

#![expect(unsafe_code, reason = "a lock hands out references to what it guards")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::{LockResult, TryLockError, TryLockResult};

use super::poison::{Flag, Guard};
use super::raw_rw_lock::RawRwLock;
use crate::atomic::const_fn;
use crate::park::primitive::{self as park, Cost};

/// Many readers or one writer around a value, as [`std::sync::RwLock`], for fibers and plain threads.
///
/// A fiber that finds the lock taken parks, and its worker runs other fibers; a plain thread blocks.
///
/// # Fairness
///
/// Running fibers may overtake waiters, as with [`Mutex`](super::Mutex), but not for more than a millisecond: a writer
/// that has waited for longer bars new readers and writers until it has had the lock. When a writer leaves, all readers
/// that wait by then are let in together. When the last reader leaves, the writer that has waited longest is next. So
/// neither kind starves the other.
///
/// Therefore a fiber that reads and asks to read once more may wait for ever: for a writer that waits for its first read to
/// end.
///
/// # Poisoning
///
/// As in `std`: a writer that panics poisons the lock, a reader does not. A cancellation does not, either. See
/// [`Mutex`](super::Mutex).
///
/// # Examples
///
/// ```
/// use abaca::sync::RwLock;
///
/// let lock = RwLock::new(5);
/// {
///     let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
///     assert_eq!(*one + *other, 10);
/// }
/// *lock.write().unwrap() += 1;
/// assert_eq!(*lock.read().unwrap(), 6);
/// ```
pub struct RwLock<T: ?Sized> {
    pub(super) raw: RawRwLock,
    pub(super) poison: Flag,
    value: UnsafeCell<T>,
}

// SAFETY: moving the lock moves the value.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers share the value between threads, and writers pass it on.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// A value that a panic has left half-changed is seen only through poisoning.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// A guard that gives read access to the value of an [`RwLock`]. Dropping it unlocks. As std's, it is not `Send`.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    /// Not reached through the lock: that would make the guard invariant in `T`, which std's is not.
    pub(super) value: NonNull<T>,
    pub(super) raw: &'a RawRwLock,
    /// `Sync` if `T` is, never `Send`.
    auto_traits: PhantomData<std::sync::RwLockReadGuard<'a, T>>,
}

/// A guard that gives write access to the value of an [`RwLock`]. Dropping it unlocks. As std's, it is not `Send`.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    pub(super) lock: &'a RwLock<T>,
    pub(super) poison_guard: Guard,
    /// `Sync` if `T` is, never `Send`.
    auto_traits: PhantomData<std::sync::RwLockWriteGuard<'a, T>>,
}

// SAFETY: a shared guard gives shared references to the value, which may be used from several threads.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// Creates an unlocked lock around `value`.
        pub const fn new(value: T) -> Self {
            Self { raw: RawRwLock::new(), poison: Flag::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Consumes the lock and returns the value.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error contains the value.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = abaca::sync::RwLock::new(1);
    /// *lock.write().unwrap() += 1;
    /// assert_eq!(lock.into_inner().unwrap(), 2);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.wrap(self.value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting until no writer has the lock or has waited for it longer.
    ///
    /// # Errors
    ///
    /// If a writer panicked. The lock is held all the same, and the error contains the guard.
    ///
    /// # Panics
    ///
    /// If there would be more than 2^28 - 1 readers. (Guards that are forgotten stay counted.)
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = abaca::sync::RwLock::new(1);
    /// let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
    /// assert_eq!((*one, *other), (1, 1));
    /// ```
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.raw.read();
        self.poison.wrap(self.reading())
    }

    /// Locks for reading if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// * [`TryLockError::WouldBlock`]: a writer has the lock or waits for it.
    /// * [`TryLockError::Poisoned`]: a writer panicked. The lock is held, and the error contains the guard.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = abaca::sync::RwLock::new(1);
    /// let reader = lock.try_read().unwrap();
    /// assert!(lock.try_read().is_ok());
    /// drop(reader);
    /// let _writer = lock.write().unwrap();
    /// assert!(lock.try_read().is_err());
    /// ```
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        park::spend(Cost::Call);
        if self.raw.try_read() {
            return Ok(self.poison.wrap(self.reading())?);
        }
        park::spend(Cost::TryFailed);
        Err(TryLockError::WouldBlock)
    }

    /// Locks for writing, waiting until there is no other holder.
    ///
    /// # Errors
    ///
    /// If a writer panicked. The lock is held all the same, and the error contains the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = abaca::sync::RwLock::new(1);
    /// *lock.write().unwrap() = 2;
    /// assert_eq!(*lock.read().unwrap(), 2);
    /// ```
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.write();
        self.poison.wrap(self.writing())
    }

    /// Locks for writing if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// * [`TryLockError::WouldBlock`]: the lock is held.
    /// * [`TryLockError::Poisoned`]: a writer panicked. The lock is held, and the error contains the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = abaca::sync::RwLock::new(1);
    /// let reader = lock.read().unwrap();
    /// assert!(lock.try_write().is_err());
    /// drop(reader);
    /// assert!(lock.try_write().is_ok());
    /// ```
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        park::spend(Cost::Call);
        if self.raw.try_write() {
            return Ok(self.poison.wrap(self.writing())?);
        }
        park::spend(Cost::TryFailed);
        Err(TryLockError::WouldBlock)
    }

    /// Whether a writer panicked. Without the lock the answer may be out of date at once.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        park::spend(Cost::Call);
        self.poison.get()
    }

    /// Clears the poison: the value is declared to be in order again.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// A mutable reference to the value, without locking: the exclusive borrow proves that there is no other holder.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error contains the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.value.get_mut())
    }

    pub(super) fn as_ptr(&self) -> NonNull<T> {
        NonNull::new(self.value.get()).expect("a value has an address")
    }

    /// The guard for a read lock that the caller has just taken or downgraded.
    #[inline]
    pub(super) fn reading(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { value: self.as_ptr(), raw: &self.raw, auto_traits: PhantomData }
    }

    #[inline]
    fn writing(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, poison_guard: Flag::guard(), auto_traits: PhantomData }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the write lock into a read lock. No other writer gets in between, and waiting readers are let in.
    ///
    /// ```
    /// use abaca::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(0);
    /// let mut writing = lock.write().unwrap();
    /// *writing = 1;
    /// let reading = RwLockWriteGuard::downgrade(writing);
    /// assert_eq!((*reading, *lock.read().unwrap()), (1, 1));
    /// ```
    pub fn downgrade(s: Self) -> RwLockReadGuard<'a, T> {
        let lock = s.lock;
        lock.poison.done(s.poison_guard);
        std::mem::forget(s);
        lock.raw.downgrade();
        lock.reading()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while there is a read guard there is no writer. The guard borrows the lock, which owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a write guard is the only guard.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.raw.unlock_read();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.poison_guard);
        self.lock.raw.unlock_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => out.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => out.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => out.field("data", &format_args!("<locked>")),
        };
        out.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
