//! Mapped guards: the right to a part of what a lock guards. The names are those of std, where they are unstable.

#![expect(unsafe_code, reason = "points into what a held lock guards")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::mutex::{Mutex, MutexGuard};
use super::poison::{Flag, Watch};
use super::raw_mutex::RawMutex;
use super::raw_rw_lock::RawRwLock;
use super::rw_lock::{RwLockReadGuard, RwLockWriteGuard};

/// How a hold is given up: what a mapped guard does when it is dropped.
trait Hold {
    fn release(&mut self);
}

/// The hold of a [`MutexGuard`].
struct Locked<'a> {
    raw: &'a RawMutex,
    poison: &'a Flag,
    watch: Watch,
}

impl Hold for Locked<'_> {
    fn release(&mut self) {
        self.poison.settle(self.watch);
        self.raw.unlock();
    }
}

/// The hold of an [`RwLockReadGuard`].
struct Reading<'a>(&'a RawRwLock);

impl Hold for Reading<'_> {
    fn release(&mut self) {
        self.0.unlock_read();
    }
}

/// The hold of an [`RwLockWriteGuard`].
struct Writing<'a> {
    raw: &'a RawRwLock,
    poison: &'a Flag,
    watch: Watch,
}

impl Hold for Writing<'_> {
    fn release(&mut self) {
        self.poison.settle(self.watch);
        self.raw.unlock_write();
    }
}

/// A hold, and the part of the value to which it is the right. It is the whole of each mapped guard.
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

    fn take_apart(self) -> (NonNull<T>, H) {
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

/// One kind of mapped guard. `$whole` is the guard it comes from; `$mutable` is empty for readers.
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
            /// The right to a part of this part. An associated function, so that it does not hide a method of the value's.
            pub fn map<U, F>(orig: Self, f: F) -> $mapped<'a, U>
            where
                F: FnOnce(&$($mutable)? T) -> &$($mutable)? U,
                U: ?Sized,
            {
                let (value, hold) = orig.part.take_apart();
                let mut rest = Rest(ManuallyDrop::new(hold));
                // SAFETY: the hold is not released before `rest` is, and is the right to the part.
                let part = NonNull::from(f(unsafe { &$($mutable)? *value.as_ptr() }));
                // SAFETY: taken once, since `rest` is forgotten.
                let hold = unsafe { ManuallyDrop::take(&mut rest.0) };
                std::mem::forget(rest);
                // SAFETY: a part of what the hold is the right to.
                $mapped { part: unsafe { Part::new(part, hold) }, marker: PhantomData }
            }

            /// The right to a part of this part, if there is one; else the guard as it was.
            ///
            /// # Errors
            ///
            /// The guard, when `f` returns `None`.
            pub fn filter_map<U, F>(orig: Self, f: F) -> Result<$mapped<'a, U>, Self>
            where
                F: FnOnce(&$($mutable)? T) -> Option<&$($mutable)? U>,
                U: ?Sized,
            {
                let (value, hold) = orig.part.take_apart();
                let mut rest = Rest(ManuallyDrop::new(hold));
                // SAFETY: as in `map`.
                let part = f(unsafe { &$($mutable)? *value.as_ptr() }).map(NonNull::from);
                // SAFETY: as in `map`.
                let hold = unsafe { ManuallyDrop::take(&mut rest.0) };
                std::mem::forget(rest);
                match part {
                    // SAFETY: a part of what the hold is the right to.
                    Some(part) => Ok($mapped { part: unsafe { Part::new(part, hold) }, marker: PhantomData }),
                    // SAFETY: as it was.
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

/// Releases a hold if the user's closure unwinds.
struct Rest<H: Hold>(ManuallyDrop<H>);

impl<H: Hold> Drop for Rest<H> {
    fn drop(&mut self) {
        self.0.release();
    }
}

mapped_guard! {
    /// The right to a part of what a [`Mutex`] guards; made by [`MutexGuard::map`].
    MappedMutexGuard, Locked, &'a mut T, [mut]
}

mapped_guard! {
    /// The right to read a part of what an [`RwLock`](super::RwLock) guards; made by [`RwLockReadGuard::map`].
    MappedRwLockReadGuard, Reading, &'a T, []
}

mapped_guard! {
    /// The right to write a part of what an [`RwLock`](super::RwLock) guards; made by [`RwLockWriteGuard::map`].
    MappedRwLockWriteGuard, Writing, &'a mut T, [mut]
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: `Part::new`'s contract; a mutex has one guard.
        unsafe { self.part.value.as_mut() }
    }
}

impl<T: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: `Part::new`'s contract; a writer is alone.
        unsafe { self.part.value.as_mut() }
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    fn into_mapped(guard: Self) -> MappedMutexGuard<'a, T> {
        let (mutex, watch): (&'a Mutex<T>, _) = (guard.mutex, guard.watch);
        std::mem::forget(guard);
        let hold = Locked { raw: &mutex.raw, poison: &mutex.poison, watch };
        let value = NonNull::new(mutex.as_ptr()).expect("a value has an address");
        // SAFETY: the guard's hold is the right to the whole value.
        MappedMutexGuard { part: unsafe { Part::new(value, hold) }, marker: PhantomData }
    }

    /// The right to a part of the value. An associated function, so that it does not hide a method of the value's.
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

    /// The right to a part of the value, if there is one; else the guard as it was.
    ///
    /// # Errors
    ///
    /// The guard, when `f` returns `None`.
    pub fn filter_map<U, F>(mut orig: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
        U: ?Sized,
    {
        let Some(part) = f(&mut orig).map(NonNull::from) else { return Err(orig) };
        let (_, hold) = Self::into_mapped(orig).part.take_apart();
        // SAFETY: a part of what the hold is the right to.
        Ok(MappedMutexGuard { part: unsafe { Part::new(part, hold) }, marker: PhantomData })
    }
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    fn into_mapped(guard: Self) -> MappedRwLockReadGuard<'a, T> {
        let (value, raw) = (guard.value, guard.raw);
        std::mem::forget(guard);
        // SAFETY: the guard's hold is the right to read the whole value.
        MappedRwLockReadGuard { part: unsafe { Part::new(value, Reading(raw)) }, marker: PhantomData }
    }

    /// The right to read a part of the value. An associated function, so that it does not hide a method of the value's.
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
        U: ?Sized,
    {
        MappedRwLockReadGuard::map(Self::into_mapped(orig), f)
    }

    /// The right to read a part of the value, if there is one; else the guard as it was.
    ///
    /// # Errors
    ///
    /// The guard, when `f` returns `None`.
    pub fn filter_map<U, F>(orig: Self, f: F) -> Result<MappedRwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
        U: ?Sized,
    {
        let Some(part) = f(&orig).map(NonNull::from) else { return Err(orig) };
        let (_, hold) = Self::into_mapped(orig).part.take_apart();
        // SAFETY: a part of what the hold is the right to.
        Ok(MappedRwLockReadGuard { part: unsafe { Part::new(part, hold) }, marker: PhantomData })
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    fn into_mapped(guard: Self) -> MappedRwLockWriteGuard<'a, T> {
        let (lock, watch) = (guard.lock, guard.watch);
        std::mem::forget(guard);
        let hold = Writing { raw: &lock.raw, poison: &lock.poison, watch };
        let value = lock.as_ptr();
        // SAFETY: the guard's hold is the right to the whole value.
        MappedRwLockWriteGuard { part: unsafe { Part::new(value, hold) }, marker: PhantomData }
    }

    /// The right to write a part of the value. An associated function, so that it does not hide a method of the value's.
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        MappedRwLockWriteGuard::map(Self::into_mapped(orig), f)
    }

    /// The right to write a part of the value, if there is one; else the guard as it was.
    ///
    /// # Errors
    ///
    /// The guard, when `f` returns `None`.
    pub fn filter_map<U, F>(mut orig: Self, f: F) -> Result<MappedRwLockWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
        U: ?Sized,
    {
        let Some(part) = f(&mut orig).map(NonNull::from) else { return Err(orig) };
        let (_, hold) = Self::into_mapped(orig).part.take_apart();
        // SAFETY: a part of what the hold is the right to.
        Ok(MappedRwLockWriteGuard { part: unsafe { Part::new(part, hold) }, marker: PhantomData })
    }
}
