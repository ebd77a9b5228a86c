//! `Semaphore`: tokio's, with blocking calls. First in, first out.
//!
//! # The protocol
//!
//! The word counts the free permits. While there is no waiter, permits are taken from it and returned to it without a lock.
//! A caller that finds too few takes the lock, sets `SLOW` and waits. From then on the word has no permits and changes
//! only under the lock. The free permits are in `collected`, where they are kept until there are enough for the first
//! waiter. So small requests do not starve a large one. When the last waiter leaves, the permits go back into the word. A
//! closed semaphore stays `SLOW`, and is `CLOSED` as well.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::semaphore_permit::SemaphorePermit;
use crate::atomic::{AtomicUsize, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinGuard, SpinLock, Wakeup};
use crate::park::wait_list::{self, End, WaitList};

/// There is a waiter, or the semaphore is closed: take the lock. Set and cleared under the lock.
const SLOW: usize = 1;
/// The semaphore is closed, and so `SLOW` for good. Set under the lock.
const CLOSED: usize = 2;
/// One permit in the word.
const PERMIT: usize = 4;

/// Number of wake-ups that are claimed under one hold of the lock.
const BATCH: usize = 16;

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
// A waiter and a caller that serves it touch the word, the lock and the list: they are in one cache line.
#[repr(align(64))]
pub struct Semaphore {
    word: AtomicUsize,
    state: SpinLock<State>,
}

// The counts are changed under the lock, or in one step: a panic leaves nothing half-changed.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

struct State {
    /// The free permits while the word is `SLOW`.
    collected: usize,
    /// Each with the number of permits that it needs; 0 once it has them.
    waiters: WaitList<usize>,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<usize> {
        &mut self.waiters
    }
}

impl Semaphore {
    /// The maximum number of permits of a semaphore.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    const_fn! {
        /// Creates a semaphore with `permits` permits.
        ///
        /// # Panics
        ///
        /// If `permits` is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        #[track_caller]
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "a semaphore has at most MAX_PERMITS permits");
            let state = State { collected: 0, waiters: WaitList::new() };
            Self { word: AtomicUsize::new(permits * PERMIT), state: SpinLock::new(state) }
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
        park::spend(Cost::Call);
        match self.word.load(Ordering::Relaxed) {
            word if word & SLOW == 0 => word / PERMIT,
            word if word & CLOSED == 0 => 0,
            // There are no waiters, and there will be none.
            _ => self.state.lock().collected,
        }
    }

    /// Returns permits that were taken. `left` is the word after they were taken, or [`SLOW`] if that is not known.
    ///
    /// If nobody has used the semaphore in between, `left` is still the word. A load would wait for the locked operation that
    /// took the permits, which is a tenth of the cost on an uncontended semaphore.
    #[inline]
    pub(super) fn give_back(&self, n: usize, left: usize) {
        if left & SLOW != 0 {
            // There was a waiter, and probably still is. A load first would fetch the cache line twice.
            return self.add_slowly(n);
        }
        let is_known = n <= Self::MAX_PERMITS - left / PERMIT;
        // Release: as in `add_permits`.
        if !is_known
            || self
                .word
                .compare_exchange(left, left + n * PERMIT, Ordering::Release, Ordering::Relaxed)
                .is_err()
        {
            self.add_permits(n);
        }
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
        let mut word = self.word.load(Ordering::Relaxed);
        while word & SLOW == 0 {
            assert!(n <= Self::MAX_PERMITS - word / PERMIT, "a semaphore has at most MAX_PERMITS permits");
            // Release: pairs with the Acquire of the call that takes the permits.
            match self.word.compare_exchange_weak(
                word,
                word + n * PERMIT,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.add_slowly(n);
    }

    #[cold]
    #[track_caller]
    fn add_slowly(&self, n: usize) {
        let mut state = self.state.lock();
        if self.word.load(Ordering::Relaxed) & SLOW == 0 {
            drop(state);
            return self.add_permits(n);
        }
        let sum = state.collected.checked_add(n).filter(|sum| *sum <= Self::MAX_PERMITS);
        let Some(sum) = sum else {
            drop(state);
            panic!("a semaphore has at most MAX_PERMITS permits");
        };
        state.collected = sum;
        self.serve(state);
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
        let mut word = self.word.load(Ordering::Relaxed);
        while word & SLOW == 0 {
            let taken = n.min(word / PERMIT);
            match self.word.compare_exchange_weak(
                word,
                word - taken * PERMIT,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return taken,
                Err(now) => word = now,
            }
        }
        if word & CLOSED == 0 {
            return 0;
        }
        let mut state = self.state.lock();
        let taken = n.min(state.collected);
        state.collected -= taken;
        taken
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
        let left = self.take(n, None).map_err(|_| AcquireError::new())?;
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
        let left = self.take(n, Instant::now().checked_add(timeout))?;
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
        let left = self.try_take(n)?;
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
        let mut state = self.state.lock();
        // Acquire: a caller that takes these permits under the lock sees what was done before they were returned. Release:
        // pairs with the Acquire in `is_closed`.
        let word = self.word.swap(SLOW | CLOSED, Ordering::AcqRel);
        if word & SLOW == 0 {
            state.collected += word / PERMIT;
        }
        drop(state);
        wait_list::wake_up_to(&self.state, State::waiters, usize::MAX);
    }

    /// Whether the semaphore has been closed.
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `close`.
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// [`take_free`](Self::take_free), for a call that does not wait.
    #[inline]
    pub(super) fn try_take(&self, n: u32) -> Result<usize, TryAcquireError> {
        park::spend(Cost::Call);
        let taken = self.take_free(n);
        if taken.is_err() {
            park::spend(Cost::TryFailed);
        }
        taken
    }

    /// Takes `n` permits if they are free and there is no waiter. Returns the word afterwards, for
    /// [`give_back`](Self::give_back).
    #[inline]
    fn take_free(&self, n: u32) -> Result<usize, TryAcquireError> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & SLOW == 0 {
            let needed = (n as usize).saturating_mul(PERMIT);
            if word < needed {
                return Err(TryAcquireError::NoPermits);
            }
            // Acquire: pairs with the Release of the call that returned the permits.
            match self.word.compare_exchange_weak(word, word - needed, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(word - needed),
                Err(now) => word = now,
            }
        }
        match word & CLOSED != 0 {
            true => Err(TryAcquireError::Closed),
            // Zero permits are always free.
            false if n == 0 => Ok(SLOW),
            false => Err(TryAcquireError::NoPermits),
        }
    }

    #[inline]
    pub(super) fn take(&self, n: u32, deadline: Option<Instant>) -> Result<usize, TryAcquireError> {
        park::spend(Cost::Wait);
        match self.take_free(n) {
            Err(TryAcquireError::NoPermits) => self.wait(n, deadline).map(|()| SLOW),
            taken => taken,
        }
    }

    #[cold]
    fn wait(&self, n: u32, deadline: Option<Instant>) -> Result<(), TryAcquireError> {
        let mut state = self.state.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        if word & CLOSED != 0 {
            return Err(TryAcquireError::Closed);
        }
        while word & SLOW == 0 {
            let needed = (n as usize).saturating_mul(PERMIT);
            let enough = word >= needed;
            let to = if enough { word - needed } else { SLOW };
            // Acquire: as in `take_free`.
            match self.word.compare_exchange_weak(word, to, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if enough => return Ok(()),
                Ok(_) => {
                    state.collected = word / PERMIT;
                    break;
                }
                Err(now) => word = now,
            }
        }
        let (outcome, needed) =
            wait_list::wait(state, State::waiters, End::Back, n as usize, Reason::Semaphore, deadline, || ());
        if outcome == Outcome::Notified {
            return if needed == 0 { Ok(()) } else { Err(TryAcquireError::Closed) };
        }
        // Later waiters may need less than this one did.
        self.serve(self.state.lock());
        if outcome == Outcome::Cancelled {
            park::unwind();
        }
        Err(TryAcquireError::NoPermits)
    }

    /// Gives the collected permits to the first waiters. When there is no waiter left, puts the rest back into the word.
    fn serve<'a>(&'a self, mut state: SpinGuard<'a, State>) {
        loop {
            let mut batch = [const { None::<Wakeup> }; BATCH];
            let mut count = 0;
            while count < BATCH {
                let collected = state.collected;
                let Some((woken, needed)) =
                    state.waiters.pop_front_replacing(|needed| *needed <= collected, 0)
                else {
                    break;
                };
                state.collected -= needed;
                batch[count] = Some(woken);
                count += 1;
            }
            if state.waiters.is_empty() && self.word.load(Ordering::Relaxed) == SLOW {
                let rest = std::mem::take(&mut state.collected);
                // Release: as in `add_permits`, for permits that were returned under the lock.
                self.word.store(rest * PERMIT, Ordering::Release);
            }
            drop(state);
            batch[..count].iter_mut().filter_map(Option::take).for_each(park::wake);
            if count < BATCH {
                return;
            }
            state = self.state.lock();
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("permits", &self.available_permits()).finish_non_exhaustive()
    }
}

/// The semaphore was closed.
#[derive(Debug)]
pub struct AcquireError(());

impl AcquireError {
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Permits could not be taken without waiting, or in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// There are not enough free permits; or, after a timeout, there were not in time.
    NoPermits,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "semaphore closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl std::error::Error for AcquireError {}
impl std::error::Error for TryAcquireError {}

#[cfg(all(test, loom))]
#[path = "model_semaphore.rs"]
mod model;
