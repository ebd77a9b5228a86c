//! The semaphore's protocol, without permits as values.
//!
//! The word counts the free permits. While there is no waiter, permits are taken from it and returned to it without a lock.
//! A caller that finds too few takes the lock, sets `SLOW` and waits. From then on the word has no permits and changes
//! only under the lock. The free permits are in `collected`, where they are kept until there are enough for the first
//! waiter. So small requests do not starve a large one. When the last waiter leaves, the permits go back into the word. A
//! closed semaphore stays `SLOW`, and is `CLOSED` as well.

use std::time::Instant;

use super::semaphore_error::TryAcquireError;
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

/// See the module's documentation.
// A waiter and a caller that serves it touch the word, the lock and the list: they are in one cache line.
#[repr(align(64))]
pub(super) struct RawSemaphore {
    word: AtomicUsize,
    state: SpinLock<State>,
}

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

impl RawSemaphore {
    pub(super) const MAX_PERMITS: usize = usize::MAX >> 3;

    const_fn! {
        /// One with so many permits, at most `MAX_PERMITS`.
        pub(super) const fn new(permits: usize) -> Self {
            let state = State { collected: 0, waiters: WaitList::new() };
            Self { word: AtomicUsize::new(permits * PERMIT), state: SpinLock::new(state) }
        }
    }

    /// How many permits could be taken at once.
    pub(super) fn available(&self) -> usize {
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
        // Release: as in `add`.
        if !is_known
            || self
                .word
                .compare_exchange(left, left + n * PERMIT, Ordering::Release, Ordering::Relaxed)
                .is_err()
        {
            self.add(n);
        }
    }

    /// Adds `n` permits. Panics if there would be too many.
    #[inline]
    #[track_caller]
    pub(super) fn add(&self, n: usize) {
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
            return self.add(n);
        }
        let sum = state.collected.checked_add(n).filter(|sum| *sum <= Self::MAX_PERMITS);
        let Some(sum) = sum else {
            drop(state);
            panic!("a semaphore has at most MAX_PERMITS permits");
        };
        state.collected = sum;
        self.serve(state);
    }

    /// Takes up to `n` free permits away for good. Returns how many.
    pub(super) fn forget(&self, n: usize) -> usize {
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

    /// Ends all waits, those to come as well.
    pub(super) fn close(&self) {
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

    pub(super) fn is_closed(&self) -> bool {
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
                // Release: as in `add`, for permits that were returned under the lock.
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
