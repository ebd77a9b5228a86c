//! `Semaphore`: tokio's, with blocking calls. First in, first out. `raw_semaphore.rs` has the protocol.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::raw_semaphore::RawSemaphore;
use super::semaphore_error::{AcquireError, TryAcquireError};
use super::semaphore_permit::SemaphorePermit;
use crate::atomic::const_fn;
use crate::park::primitive::{self as park, Cost};

/// A number of permits, each of which one fiber (or thread) can hold at a time, as tokio's `Semaphore`, with blocking calls.
///
/// Waiters are served in the order in which they came, even if the first one needs many permits and others few.
///
/// ```
/// use abaca::sync::{Arc, Semaphore};
///
/// # abaca::run(|| {
/// let connections = Arc::new(Semaphore::new(3));
/// let fibers: Vec<_> = (0..10)
///     .map(|_| {
///         let connections = Arc::clone(&connections);
///         abaca::spawn(move || {
///             let _permit = connections.acquire().unwrap();
///             abaca::yield_now(); // at most three are here
///         })
///     })
///     .collect();
/// fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
/// assert_eq!(connections.available_permits(), 3);
/// # });
/// ```
pub struct Semaphore {
    pub(super) raw: RawSemaphore,
}

// The counts are changed under the lock, or in one step: a panic leaves nothing half-changed.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl Semaphore {
    /// The maximum number of permits of a semaphore.
    pub const MAX_PERMITS: usize = RawSemaphore::MAX_PERMITS;

    const_fn! {
        /// Creates a semaphore with `permits` permits.
        ///
        /// # Panics
        ///
        /// If `permits` is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        #[track_caller]
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "a semaphore has at most MAX_PERMITS permits");
            Self { raw: RawSemaphore::new(permits) }
        }
    }

    /// Number of permits that could be taken at once.
    ///
    /// It is 0 while there are waiters: permits that are returned then are kept for the first waiter until there are as many
    /// as it needs.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = abaca::sync::Semaphore::new(2);
    /// let permit = semaphore.acquire().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
    pub fn available_permits(&self) -> usize {
        self.raw.available()
    }

    /// Adds `n` permits.
    ///
    /// # Panics
    ///
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = abaca::sync::Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert!(semaphore.try_acquire_many(2).is_ok());
    /// ```
    #[inline]
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        self.raw.add(n);
    }

    /// Takes up to `n` free permits away for good. Returns how many. While there are waiters no permit is free; see
    /// [`available_permits`](Self::available_permits).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = abaca::sync::Semaphore::new(3);
    /// assert_eq!(semaphore.forget_permits(2), 2);
    /// assert_eq!(semaphore.forget_permits(2), 1);
    /// ```
    pub fn forget_permits(&self, n: usize) -> usize {
        self.raw.forget(n)
    }

    /// Takes a permit, waiting until one is free and all earlier callers have been served.
    ///
    /// A fiber that is cancelled while it waits takes none and unwinds.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = abaca::sync::Semaphore::new(1);
    /// let permit = semaphore.acquire().unwrap();
    /// assert!(semaphore.try_acquire().is_err());
    /// drop(permit);
    /// assert!(semaphore.try_acquire().is_ok());
    /// ```
    #[inline]
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// Takes `n` permits at once, waiting until they are free and all earlier callers have been served.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = abaca::sync::Semaphore::new(3);
    /// let permits = semaphore.acquire_many(2).unwrap();
    /// assert_eq!((permits.num_permits(), semaphore.available_permits()), (2, 1));
    /// ```
    #[inline]
    pub fn acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        let left = self.raw.take(n, None).map_err(|_| AcquireError::new())?;
        Ok(SemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Takes a permit, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// * [`TryAcquireError::NoPermits`]: there was no permit in time.
    /// * [`TryAcquireError::Closed`]: the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = abaca::sync::Semaphore::new(1);
    /// let _permit = semaphore.acquire().unwrap();
    /// assert!(semaphore.acquire_timeout(Duration::from_millis(1)).is_err());
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.acquire_many_timeout(1, timeout)
    }

    /// Takes `n` permits at once, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// * [`TryAcquireError::NoPermits`]: there were not enough permits in time.
    /// * [`TryAcquireError::Closed`]: the semaphore is closed.
    pub fn acquire_many_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        // A deadline beyond the clock's range never comes.
        let left = self.raw.take(n, Instant::now().checked_add(timeout))?;
        Ok(SemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Takes a permit if one is free. None is free while there are waiters.
    ///
    /// # Errors
    ///
    /// * [`TryAcquireError::NoPermits`]: no permit is free.
    /// * [`TryAcquireError::Closed`]: the semaphore is closed.
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if they are free. None is free while there are waiters.
    ///
    /// # Errors
    ///
    /// * [`TryAcquireError::NoPermits`]: fewer than `n` permits are free.
    /// * [`TryAcquireError::Closed`]: the semaphore is closed.
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let left = self.raw.try_take(n)?;
        Ok(SemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Closes the semaphore: all waits and all later calls fail. Permits that are held can still be returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.close();
    /// assert!(semaphore.acquire().is_err());
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    /// ```
    pub fn close(&self) {
        self.raw.close();
    }

    /// Whether the semaphore has been closed.
    pub fn is_closed(&self) -> bool {
        park::spend(Cost::Call);
        self.raw.is_closed()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("permits", &self.available_permits()).finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "model_semaphore.rs"]
mod model;
