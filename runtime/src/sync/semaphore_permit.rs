//! Permits of a semaphore: they go back when they are dropped. Those that keep their semaphore alive are taken here too.

use std::sync::Arc;

use super::semaphore::Semaphore;
use super::semaphore::{AcquireError, TryAcquireError};

/// Permits of a [`Semaphore`], given back when dropped.
#[must_use = "the permits are given back when this is dropped"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    pub(super) semaphore: &'a Semaphore,
    pub(super) permits: u32,
    /// What was left in the semaphore's word, for `give_back`.
    pub(super) left: usize,
}

/// Permits of a [`Semaphore`] that they keep alive, given back when dropped.
#[must_use = "the permits are given back when this is dropped"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    pub(super) semaphore: Arc<Semaphore>,
    pub(super) permits: u32,
    /// What was left in the semaphore's word, for `give_back`.
    pub(super) left: usize,
}

/// What both kinds of permits can do.
macro_rules! permit {
    ($name:ty) => {
        impl $name {
            /// Takes the permits from the semaphore for good.
            pub fn forget(mut self) {
                self.permits = 0;
            }

            /// Adds the permits of `other` to these.
            ///
            /// # Panics
            ///
            /// If they are of another semaphore, or more than [`u32::MAX`] in all.
            pub fn merge(&mut self, mut other: Self) {
                let (mine, theirs): (&Semaphore, &Semaphore) = (&self.semaphore, &other.semaphore);
                assert!(std::ptr::eq(mine, theirs), "merging permits from different semaphore instances");
                // On a panic the others go back where they came from.
                self.permits =
                    self.permits.checked_add(other.permits).expect("a permit holds at most u32::MAX");
                other.permits = 0;
            }

            /// Splits `n` permits off; `None` if there are not so many.
            pub fn split(&mut self, n: usize) -> Option<Self> {
                let n = u32::try_from(n).ok()?;
                self.permits = self.permits.checked_sub(n)?;
                Some(Self { semaphore: Clone::clone(&self.semaphore), permits: n, left: self.left })
            }

            /// How many permits these are.
            pub fn num_permits(&self) -> usize {
                self.permits as usize
            }
        }

        impl Drop for $name {
            #[inline]
            fn drop(&mut self) {
                if self.permits != 0 {
                    self.semaphore.give_back(self.permits as usize, self.left);
                }
            }
        }
    };
}

permit!(SemaphorePermit<'_>);
permit!(OwnedSemaphorePermit);

impl Semaphore {
    /// [`acquire`](Self::acquire) with a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    pub fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1)
    }

    /// [`acquire_many`](Self::acquire_many) with a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    pub fn acquire_many_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        let left = self.take(n, None).map_err(|_| AcquireError::new())?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: n, left })
    }

    /// [`try_acquire`](Self::try_acquire) with a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If none is free, or the semaphore is closed.
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// [`try_acquire_many`](Self::try_acquire_many) with a permit that keeps the semaphore.
    ///
    /// # Errors
    ///
    /// If they are not free, or the semaphore is closed.
    pub fn try_acquire_many_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let left = self.attempt(n)?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: n, left })
    }
}

impl OwnedSemaphorePermit {
    /// The semaphore whose permits these are.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}
