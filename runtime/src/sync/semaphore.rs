//! `Semaphore`: tokio's, as blocking calls. First in, first out.
//!
//! # The protocol
//!
//! The word counts the free permits. While nobody waits, permits are taken from it and given back to it without a lock.
//! Whoever finds too few takes the lock, sets `SLOW` and waits; from then on the word has no permits, it
//! changes only under the lock, and the free permits are in `collected`, where they are kept for the first waiter until it
//! has as many as it needs. So a large request is not starved by small ones. The last waiter to go puts them back
//! into the word. A closed semaphore stays `SLOW`, and is `CLOSED` as well.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::semaphore_permit::SemaphorePermit;
use crate::atomic::{AtomicUsize, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinGuard, SpinLock, Woken};
use crate::park::wait_list::{self, End, WaitList};

/// Somebody waits, or the semaphore is closed: take the lock. Set and cleared under it.
const SLOW: usize = 1;
/// The semaphore is closed, and so `SLOW` for good. Set under the lock.
const CLOSED: usize = 2;
/// One permit in the word.
const PERMIT: usize = 4;

/// How many wake-ups are claimed under one hold of the lock.
const BATCH: usize = 16;

/// A number of permits, each of which one fiber (or thread) may hold at a time, as tokio's `Semaphore`, with blocking calls.
///
/// Whoever has waited longest is served first, also if it needs many permits and others few.
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
// Whoever waits or serves touches the word, the lock and the list: they are in one cache line.
#[repr(align(64))]
pub struct Semaphore {
    word: AtomicUsize,
    state: SpinLock<State>,
}

// What it counts is changed under its lock, or in one step: a panic leaves nothing half-way.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

struct State {
    /// The free permits while the word is `SLOW`.
    collected: usize,
    /// Each with how many permits it needs; 0 once it has them.
    waiters: WaitList<usize>,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<usize> {
        &mut self.waiters
    }
}

impl Semaphore {
    /// The most permits that a semaphore may have.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    const_fn! {
        /// One with so many permits.
        ///
        /// # Panics
        ///
        /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "a semaphore has at most MAX_PERMITS permits");
            let state = State { collected: 0, waiters: WaitList::new() };
            Self { word: AtomicUsize::new(permits * PERMIT), state: SpinLock::new(state) }
        }
    }

    /// How many permits are free: those that could be taken at once.
    ///
    /// None is while somebody waits, since what is given back then is kept for whoever has waited longest, until it is
    /// as much as that one needs.
    pub fn available_permits(&self) -> usize {
        park::spend(Cost::Call);
        match self.word.load(Ordering::Relaxed) {
            word if word & SLOW == 0 => word / PERMIT,
            word if word & CLOSED == 0 => 0,
            // Nobody waits, and nobody will.
            _ => self.state.lock().collected,
        }
    }

    /// Adds permits that were taken; `left` is what the word was after that, or [`SLOW`] if it is not known.
    ///
    /// If nobody has come in between that is still the word. To look would be to wait for the locked operation that
    /// took the permits, a tenth of the whole on an uncontended semaphore.
    #[inline]
    pub(super) fn give_back(&self, n: usize, left: usize) {
        if left & SLOW != 0 {
            // Somebody waited, and likely still does. To look first would be to fetch the cache line twice.
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

    /// Adds so many permits.
    ///
    /// # Panics
    ///
    /// If there are then more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[inline]
    pub fn add_permits(&self, n: usize) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & SLOW == 0 {
            assert!(n <= Self::MAX_PERMITS - word / PERMIT, "a semaphore has at most MAX_PERMITS permits");
            // Release: pairs with the Acquire of whoever takes the permits.
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

    /// Takes up to so many free permits away for good; returns how many. None is free while somebody waits; see
    /// [`available_permits`](Self::available_permits).
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

    /// Takes a permit, waiting until one is free and all who came before have been served.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    #[inline]
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// Takes `n` permits at once.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    #[inline]
    pub fn acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        let left = self.take(n, None).map_err(|_| AcquireError::new())?;
        Ok(SemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Takes a permit, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or the time was up.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.acquire_many_timeout(1, timeout)
    }

    /// Takes `n` permits at once, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or the time was up.
    pub fn acquire_many_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        // A deadline beyond the clock's range never comes.
        let left = self.take(n, Instant::now().checked_add(timeout))?;
        Ok(SemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Takes a permit if one is free and nobody waits for it.
    ///
    /// # Errors
    ///
    /// If none is, or the semaphore is closed.
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if so many are free and nobody waits for them.
    ///
    /// # Errors
    ///
    /// If they are not, or the semaphore is closed.
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let left = self.attempt(n)?;
        Ok(SemaphorePermit { semaphore: self, permits: n, left })
    }

    /// Ends all waits with an error, and lets nobody wait any more. Permits that are held can still be given back.
    pub fn close(&self) {
        let mut state = self.state.lock();
        // Acquire: whoever takes these permits under the lock sees what was done before they were given back. Release:
        // pairs with the Acquire in `is_closed`.
        let word = self.word.swap(SLOW | CLOSED, Ordering::AcqRel);
        if word & SLOW == 0 {
            state.collected += word / PERMIT;
        }
        drop(state);
        wait_list::wake_up_to(&self.state, State::waiters, usize::MAX);
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `close`.
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// [`try_take`](Self::try_take), for one that does not wait.
    #[inline]
    pub(super) fn attempt(&self, n: u32) -> Result<usize, TryAcquireError> {
        park::spend(Cost::Call);
        let taken = self.try_take(n);
        if taken.is_err() {
            park::spend(Cost::InVain);
        }
        taken
    }

    /// Takes permits if so many are free and nobody waits. Returns what is left in the word, for
    /// [`give_back`](Self::give_back).
    #[inline]
    fn try_take(&self, n: u32) -> Result<usize, TryAcquireError> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & SLOW == 0 {
            let needed = (n as usize).saturating_mul(PERMIT);
            if word < needed {
                return Err(TryAcquireError::NoPermits);
            }
            // Acquire: pairs with the Release of whoever gave the permits back.
            match self.word.compare_exchange_weak(word, word - needed, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(word - needed),
                Err(now) => word = now,
            }
        }
        match word & CLOSED != 0 {
            true => Err(TryAcquireError::Closed),
            // None at all are always to be had.
            false if n == 0 => Ok(SLOW),
            false => Err(TryAcquireError::NoPermits),
        }
    }

    #[inline]
    pub(super) fn take(&self, n: u32, deadline: Option<Instant>) -> Result<usize, TryAcquireError> {
        park::spend(Cost::Wait);
        match self.try_take(n) {
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
            // Acquire: as in `try_take`.
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
        // Those behind may need less than this one did.
        self.serve(self.state.lock());
        if outcome == Outcome::Cancelled {
            park::unwind();
        }
        Err(TryAcquireError::NoPermits)
    }

    /// Gives what is collected to the first waiters; when the last has gone, puts the rest back into the word.
    fn serve<'a>(&'a self, mut state: SpinGuard<'a, State>) {
        loop {
            let mut batch = [const { None::<Woken> }; BATCH];
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
                // Release: as in `add_permits`, for those who gave permits back under the lock.
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

/// Why no permit was to be had without waiting.
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
