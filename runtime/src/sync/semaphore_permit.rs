//! Permits of a semaphore: they go back when they are dropped.

use std::sync::Arc;

use super::semaphore::Semaphore;

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
            /// If they are of another semaphore.
            pub fn merge(&mut self, mut other: Self) {
                let (mine, theirs): (&Semaphore, &Semaphore) = (&self.semaphore, &other.semaphore);
                assert!(std::ptr::eq(mine, theirs), "merging permits from different semaphore instances");
                self.permits += std::mem::take(&mut other.permits);
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

impl OwnedSemaphorePermit {
    /// The semaphore whose permits these are.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}
