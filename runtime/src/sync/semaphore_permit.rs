//! Permits of a semaphore, which are returned when they are dropped, and the calls that take owned permits.

use std::sync::Arc;

use super::semaphore::Semaphore;
use super::semaphore_error::{AcquireError, TryAcquireError};

/// Permits of a [`Semaphore`]. Dropping this returns them.
#[must_use = "the permits are returned when this is dropped"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    pub(super) semaphore: &'a Semaphore,
    pub(super) permits: u32,
    /// The semaphore's word after the permits were taken, for `give_back`.
    pub(super) left: usize,
}

/// Permits of a [`Semaphore`] that they keep alive. Dropping this returns them.
#[must_use = "the permits are returned when this is dropped"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    pub(super) semaphore: Arc<Semaphore>,
    pub(super) permits: u32,
    /// The semaphore's word after the permits were taken, for `give_back`.
    pub(super) left: usize,
}

/// The methods of both kinds of permits.
macro_rules! permit {
    ($name:ty) => {
        impl $name {
            /// Drops this without returning the permits: the semaphore has fewer permits from now on.
            ///
            /// # Examples
            ///
            /// ```
            /// let semaphore = abaca::sync::Semaphore::new(2);
            /// semaphore.acquire().unwrap().forget();
            /// assert_eq!(semaphore.available_permits(), 1);
            /// ```
            pub fn forget(mut self) {
                self.permits = 0;
            }

            /// Adds the permits of `other` to these.
            ///
            /// # Panics
            ///
            /// If they belong to another semaphore, or if there would be more than [`u32::MAX`]. The permits of `other` are
            /// then returned.
            #[track_caller]
            pub fn merge(&mut self, mut other: Self) {
                let (mine, theirs): (&Semaphore, &Semaphore) = (&self.semaphore, &other.semaphore);
                assert!(std::ptr::eq(mine, theirs), "merging permits from different semaphore instances");
                // If this panics, the other permits are returned.
                self.permits =
                    self.permits.checked_add(other.permits).expect("a permit holds at most u32::MAX");
                other.permits = 0;
            }

            /// Splits off `n` permits; `None` if there are fewer.
            ///
            /// # Examples
            ///
            /// ```
            /// let semaphore = abaca::sync::Semaphore::new(3);
            /// let mut permits = semaphore.acquire_many(3).unwrap();
            /// drop(permits.split(2));
            /// assert_eq!(semaphore.available_permits(), 2);
            /// assert!(permits.split(2).is_none());
            /// ```
            pub fn split(&mut self, n: usize) -> Option<Self> {
                let n = u32::try_from(n).ok()?;
                self.permits = self.permits.checked_sub(n)?;
                Some(Self { semaphore: Clone::clone(&self.semaphore), permits: n, left: self.left })
            }

            /// Number of permits.
            pub fn num_permits(&self) -> usize {
                self.permits as usize
            }
        }

        impl Drop for $name {
            #[inline]
            fn drop(&mut self) {
                if self.permits != 0 {
                    self.semaphore.raw.give_back(self.permits as usize, self.left);
                }
            }
        }
    };
}

permit!(SemaphorePermit<'_>);
permit!(OwnedSemaphorePermit);

impl Semaphore {
    /// Like [`acquire`](Self::acquire); the permit keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Arc, Semaphore};
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = Arc::clone(&semaphore).acquire_owned().unwrap();
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    pub fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1)
    }

    /// Like [`acquire_many`](Self::acquire_many); the permits keep the semaphore alive.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    pub fn acquire_many_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        let left = self.raw.take(n, None).map_err(|_| AcquireError::new())?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Like [`try_acquire`](Self::try_acquire); the permit keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Like [`try_acquire_many`](Self::try_acquire_many); the permits keep the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`](Self::try_acquire_many).
    pub fn try_acquire_many_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let left = self.raw.try_take(n)?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: n, left })
    }
}

impl OwnedSemaphorePermit {
    /// The semaphore of these permits.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}
