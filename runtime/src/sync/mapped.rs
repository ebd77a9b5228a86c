//! Mapped guards, which give access to a part of the guarded value. The names are std's, where they are unstable.

#![expect(unsafe_code, reason = "points into what a held lock guards")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::mutex::{Mutex, MutexGuard};
use super::poison::{Flag, Guard};
use super::raw_mutex::RawMutex;
use super::raw_rw_lock::RawRwLock;
use super::rw_lock::{RwLockReadGuard, RwLockWriteGuard};

/// A lock that is held, and how it is released. A mapped guard releases it when it is dropped.
trait Hold {
    fn release(&mut self);
}

/// The lock of a [`MutexGuard`].
struct Locked<'a> {
    raw: &'a RawMutex,
    poison: &'a Flag,
    poison_guard: Guard,
}

impl Hold for Locked<'_> {
    fn release(&mut self) {
        self.poison.done(self.poison_guard);
        self.raw.unlock();
    }
}

/// The lock of an [`RwLockReadGuard`].
struct Reading<'a>(&'a RawRwLock);

impl Hold for Reading<'_> {
    fn release(&mut self) {
        self.0.unlock_read();
    }
}

/// The lock of an [`RwLockWriteGuard`].
struct Writing<'a> {
    raw: &'a RawRwLock,
    poison: &'a Flag,
    poison_guard: Guard,
}

impl Hold for Writing<'_> {
    fn release(&mut self) {
        self.poison.done(self.poison_guard);
        self.raw.unlock_write();
    }
}

/// A held lock, and the part of the value to which it gives access. Each mapped guard consists of one.
struct Part<H: Hold, T: ?Sized> {
    value: NonNull<T>,
    hold: ManuallyDrop<H>,
}

impl<H: Hold, T: ?Sized> Part<H, T> {
    /// # Safety
    ///
    /// While `hold` is not released, `value` may be used as the guard's kind allows.
    unsafe fn new(value: NonNull<T>, hold: H) -> Self {
        Self { value, hold: ManuallyDrop::new(hold) }
    }

    fn into_parts(self) -> (NonNull<T>, H) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the hold is taken once.
        (this.value, unsafe { ManuallyDrop::take(&mut this.hold) })
    }
}

impl<H: Hold, T: ?Sized> Drop for Part<H, T> {
    fn drop(&mut self) {
        self.hold.release();
    }
}

/// One kind of mapped guard. `$hold` is the lock that it holds; `$mutable` is empty for readers.
macro_rules! mapped_guard {
    (
        $(#[$attribute:meta])*
        $mapped:ident, $hold:ident, $variance:ty, [$($mutable:tt)?]
    ) => {
        $(#[$attribute])*
        #[must_use = "if unused the lock will immediately unlock"]
        pub struct $mapped<'a, T: ?Sized + 'a> {
            part: Part<$hold<'a>, T>,
            /// The variance of a reference to the value, and never `Send`.
            marker: PhantomData<($variance, *const ())>,
        }

        // SAFETY: a shared guard gives shared references to the part, which may be used from several threads.
        unsafe impl<T: ?Sized + Sync> Sync for $mapped<'_, T> {}

        impl<'a, T: ?Sized> $mapped<'a, T> {
            /// A guard for a part of this guard's value. An associated function, so that it does not hide a method of the value.
            pub fn map<U, F>(orig: Self, f: F) -> $mapped<'a, U>
            where
                F: FnOnce(&$($mutable)? T) -> &$($mutable)? U,
                U: ?Sized,
            {
                let (value, hold) = orig.part.into_parts();
                let mut held = ReleaseOnUnwind(ManuallyDrop::new(hold));
                // SAFETY: the lock is held until `held` releases it, and gives access to the value.
                let part = NonNull::from(f(unsafe { &$($mutable)? *value.as_ptr() }));
                // SAFETY: taken once, since `held` is forgotten.
                let hold = unsafe { ManuallyDrop::take(&mut held.0) };
                std::mem::forget(held);
                // SAFETY: the part belongs to the value to which the held lock gives access.
                $mapped { part: unsafe { Part::new(part, hold) }, marker: PhantomData }
            }

            /// A guard for a part of this guard's value, if `f` returns one.
            ///
            /// # Errors
            ///
            /// If `f` returns `None`. The error is this guard.
            pub fn filter_map<U, F>(orig: Self, f: F) -> Result<$mapped<'a, U>, Self>
            where
                F: FnOnce(&$($mutable)? T) -> Option<&$($mutable)? U>,
                U: ?Sized,
            {
                let (value, hold) = orig.part.into_parts();
                let mut held = ReleaseOnUnwind(ManuallyDrop::new(hold));
                // SAFETY: as in `map`.
                let part = f(unsafe { &$($mutable)? *value.as_ptr() }).map(NonNull::from);
                // SAFETY: as in `map`.
                let hold = unsafe { ManuallyDrop::take(&mut held.0) };
                std::mem::forget(held);
                match part {
                    // SAFETY: as in `map`.
                    Some(part) => Ok($mapped { part: unsafe { Part::new(part, hold) }, marker: PhantomData }),
                    // SAFETY: the same lock and value as before.
                    None => Err($mapped { part: unsafe { Part::new(value, hold) }, marker: PhantomData }),
                }
            }
        }

        impl<T: ?Sized> Deref for $mapped<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: `Part::new`'s contract.
                unsafe { self.part.value.as_ref() }
            }
        }

        impl<T: ?Sized + fmt::Debug> fmt::Debug for $mapped<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + fmt::Display> fmt::Display for $mapped<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

/// Releases the lock if the user's closure unwinds.
struct ReleaseOnUnwind<H: Hold>(ManuallyDrop<H>);

impl<H: Hold> Drop for ReleaseOnUnwind<H> {
    fn drop(&mut self) {
        self.0.release();
    }
}

mapped_guard! {
    /// A guard for a part of the value of a [`Mutex`]. Made by [`MutexGuard::map`].
    MappedMutexGuard, Locked, &'a mut T, [mut]
}

mapped_guard! {
    /// A guard that gives read access to a part of the value of an [`RwLock`](super::RwLock). Made by
    /// [`RwLockReadGuard::map`].
    MappedRwLockReadGuard, Reading, &'a T, []
}

mapped_guard! {
    /// A guard that gives write access to a part of the value of an [`RwLock`](super::RwLock). Made by
    /// [`RwLockWriteGuard::map`].
    MappedRwLockWriteGuard, Writing, &'a mut T, [mut]
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: `Part::new`'s contract; a mutex has only one guard.
        unsafe { self.part.value.as_mut() }
    }
}

impl<T: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: `Part::new`'s contract; a writer is the only holder.
        unsafe { self.part.value.as_mut() }
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    fn into_mapped(guard: Self) -> MappedMutexGuard<'a, T> {
        let (mutex, poison_guard): (&'a Mutex<T>, _) = (guard.mutex, guard.poison_guard);
        std::mem::forget(guard);
        let hold = Locked { raw: &mutex.raw, poison: &mutex.poison, poison_guard };
        let value = NonNull::new(mutex.as_ptr()).expect("a value has an address");
        // SAFETY: the guard's lock gives access to the whole value.
        MappedMutexGuard { part: unsafe { Part::new(value, hold) }, marker: PhantomData }
    }

    /// A guard for a part of the value. An associated function, so that it does not hide a method of the value.
    ///
    /// ```
    /// use abaca::sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, 2));
    /// let mut second = MutexGuard::map(mutex.lock().unwrap(), |pair| &mut pair.1);
    /// *second = 3;
    /// drop(second);
    /// assert_eq!(*mutex.lock().unwrap(), (1, 3));
    /// ```
    pub fn map<U, F>(orig: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        MappedMutexGuard::map(Self::into_mapped(orig), f)
    }

    /// A guard for a part of the value, if `f` returns one.
    ///
    /// # Errors
    ///
    /// If `f` returns `None`. The error is this guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(vec![1, 2]);
    /// let first = MutexGuard::filter_map(mutex.lock().unwrap(), |list| list.first_mut()).unwrap();
    /// assert_eq!(*first, 1);
    /// drop(first);
    /// let list = MutexGuard::filter_map(mutex.lock().unwrap(), |list| list.get_mut(2)).unwrap_err();
    /// assert_eq!(*list, [1, 2]);
    /// ```
    pub fn filter_map<U, F>(mut orig: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
        U: ?Sized,
    {
        let Some(part) = f(&mut orig).map(NonNull::from) else { return Err(orig) };
        let (_, hold) = Self::into_mapped(orig).part.into_parts();
        // SAFETY: the part belongs to the value to which the held lock gives access.
        Ok(MappedMutexGuard { part: unsafe { Part::new(part, hold) }, marker: PhantomData })
    }
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    fn into_mapped(guard: Self) -> MappedRwLockReadGuard<'a, T> {
        let (value, raw) = (guard.value, guard.raw);
        std::mem::forget(guard);
        // SAFETY: the guard's lock gives read access to the whole value.
        MappedRwLockReadGuard { part: unsafe { Part::new(value, Reading(raw)) }, marker: PhantomData }
    }

    /// A guard for a part of the value. An associated function, so that it does not hide a method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{RwLock, RwLockReadGuard};
    ///
    /// let lock = RwLock::new((1, 2));
    /// let second = RwLockReadGuard::map(lock.read().unwrap(), |pair| &pair.1);
    /// assert_eq!(*second, 2);
    /// ```
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
        U: ?Sized,
    {
        MappedRwLockReadGuard::map(Self::into_mapped(orig), f)
    }

    /// A guard for a part of the value, if `f` returns one.
    ///
    /// # Errors
    ///
    /// If `f` returns `None`. The error is this guard.
    pub fn filter_map<U, F>(orig: Self, f: F) -> Result<MappedRwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
        U: ?Sized,
    {
        let Some(part) = f(&orig).map(NonNull::from) else { return Err(orig) };
        let (_, hold) = Self::into_mapped(orig).part.into_parts();
        // SAFETY: the part belongs to the value to which the held lock gives access.
        Ok(MappedRwLockReadGuard { part: unsafe { Part::new(part, hold) }, marker: PhantomData })
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    fn into_mapped(guard: Self) -> MappedRwLockWriteGuard<'a, T> {
        let (lock, poison_guard) = (guard.lock, guard.poison_guard);
        std::mem::forget(guard);
        let hold = Writing { raw: &lock.raw, poison: &lock.poison, poison_guard };
        let value = lock.as_ptr();
        // SAFETY: the guard's lock gives access to the whole value.
        MappedRwLockWriteGuard { part: unsafe { Part::new(value, hold) }, marker: PhantomData }
    }

    /// A guard for a part of the value. An associated function, so that it does not hide a method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, 2));
    /// *RwLockWriteGuard::map(lock.write().unwrap(), |pair| &mut pair.1) = 3;
    /// assert_eq!(*lock.read().unwrap(), (1, 3));
    /// ```
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        MappedRwLockWriteGuard::map(Self::into_mapped(orig), f)
    }

    /// A guard for a part of the value, if `f` returns one.
    ///
    /// # Errors
    ///
    /// If `f` returns `None`. The error is this guard.
    pub fn filter_map<U, F>(mut orig: Self, f: F) -> Result<MappedRwLockWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
        U: ?Sized,
    {
        let Some(part) = f(&mut orig).map(NonNull::from) else { return Err(orig) };
        let (_, hold) = Self::into_mapped(orig).part.into_parts();
        // SAFETY: the part belongs to the value to which the held lock gives access.
        Ok(MappedRwLockWriteGuard { part: unsafe { Part::new(part, hold) }, marker: PhantomData })
    }
}
