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

use super::poison::{Flag, Watch};
use super::raw_rw_lock::RawRwLock;
use crate::atomic::const_fn;
use crate::park::primitive::{self as park, Cost};

/// Many readers or one writer around a value, as [`std::sync::RwLock`], for fibers and plain threads.
///
/// A fiber that finds the lock taken parks and its worker runs other fibers; a plain thread blocks.
///
/// # Fairness
///
/// Those who run may overtake those who wait, as with [`Mutex`](super::Mutex), but not for more than a millisecond: a
/// writer that has waited for so long bars new readers and writers until it has had the lock. When a writer leaves, all
/// readers that wait by then are let in together; when the last reader leaves, the writer that has waited longest is
/// next. So neither kind starves the other.
///
/// A fiber that reads and asks to read once more may therefore wait for a writer that waits for it: for ever.
///
/// # Poisoning
///
/// As in `std`: a writer that panics poisons the lock, a reader does not; nor does who is cancelled. See [`Mutex`](super::Mutex).
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
// SAFETY: readers share the value between threads, and writers pass it around.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// Poisoning is what makes a broken invariant visible.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// The right to read the value of an [`RwLock`]; given up when dropped. Not `Send`, as std's.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    /// Not by way of the lock, which would forbid that the guard of a long-lived value be one of a short-lived value.
    pub(super) value: NonNull<T>,
    pub(super) raw: &'a RawRwLock,
    /// `Sync` if `T` is, never `Send`.
    auto_traits: PhantomData<std::sync::RwLockReadGuard<'a, T>>,
}

/// The right to write the value of an [`RwLock`]; given up when dropped. Not `Send`, as std's.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    pub(super) lock: &'a RwLock<T>,
    pub(super) watch: Watch,
    /// `Sync` if `T` is, never `Send`.
    auto_traits: PhantomData<std::sync::RwLockWriteGuard<'a, T>>,
}

// SAFETY: a shared guard gives shared references to the value, which may be used from several threads.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// A free lock around `value`.
        pub const fn new(value: T) -> Self {
            Self { raw: RawRwLock::new(), poison: Flag::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Takes the lock apart and returns the value.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned; the error contains the value.
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.wrap(self.value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks to read, waiting until no writer has the lock or has waited for it longer.
    ///
    /// # Errors
    ///
    /// When a writer panicked: the lock is held all the same and the error contains the guard.
    ///
    /// # Panics
    ///
    /// If there are more than 100 million readers.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        park::spend(Cost::Wait);
        self.raw.read();
        self.poison.wrap(self.reading())
    }

    /// Locks to read if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] when a writer has it or waits; [`TryLockError::Poisoned`], with the guard, when a
    /// writer panicked.
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        park::spend(Cost::Call);
        if self.raw.try_read() {
            return Ok(self.poison.wrap(self.reading())?);
        }
        park::spend(Cost::InVain);
        Err(TryLockError::WouldBlock)
    }

    /// Locks to write, waiting until nobody else has the lock.
    ///
    /// # Errors
    ///
    /// When a writer panicked: the lock is held all the same and the error contains the guard.
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        park::spend(Cost::Wait);
        self.raw.write();
        self.poison.wrap(self.writing())
    }

    /// Locks to write if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] when somebody has it; [`TryLockError::Poisoned`], with the guard, when a writer
    /// panicked.
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        park::spend(Cost::Call);
        if self.raw.try_write() {
            return Ok(self.poison.wrap(self.writing())?);
        }
        park::spend(Cost::InVain);
        Err(TryLockError::WouldBlock)
    }

    /// Whether a writer panicked. Without the lock the answer may be outdated at once.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Declares the value to be in order again.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value, without locking: exclusive access proves that nobody else has the lock.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned; the error contains the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.value.get_mut())
    }

    pub(super) fn as_ptr(&self) -> NonNull<T> {
        NonNull::new(self.value.get()).expect("a value has an address")
    }

    /// The guard of a hold that the caller has just taken, or has changed to one of reading.
    #[inline]
    pub(super) fn reading(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { value: self.as_ptr(), raw: &self.raw, auto_traits: PhantomData }
    }

    #[inline]
    fn writing(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, watch: Flag::watch(), auto_traits: PhantomData }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the right to write into the right to read. Nobody else writes in between, and waiting readers are let in.
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
        lock.poison.settle(s.watch);
        std::mem::forget(s);
        lock.raw.downgrade();
        lock.reading()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while there is a reader's guard nobody writes, and the lock, which is borrowed, owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a writer's guard is the only one.
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
        self.lock.poison.settle(self.watch);
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
