//! The mutex without its value: the word, the queue behind it, and the protocol between them.
//!
//! # The word
//!
//! | bit | set | cleared | means |
//! |---|---|---|---|
//! | `LOCKED` | by whoever takes the lock, or by an unlocker on behalf of the one it hands over to | by the holder | someone holds it |
//! | `WAITERS` | under the queue's lock, by one that joins while `LOCKED` | under the queue's lock, when the queue is seen empty | the holder must look at the queue when it unlocks |
//! | `WAKING` | under the queue's lock, by the unlocker that wakes a waiter | by the woken one, when it has the lock or has joined the queue again | a woken waiter is on its way: wake no other |
//! | `HAND_OVER` | under the queue's lock, by a woken waiter that lost once too often | by the unlocker that hands over | the holder passes the lock on instead of releasing it |
//!
//! # The protocol
//!
//! *Lock* sets `LOCKED`; if it was clear the lock is taken, whatever the other bits say. So a running fiber takes
//! the lock again although others wait (it barges): a hand-over at every unlock would make each critical
//! section as long as a trip through a scheduler. One that finds it set spins briefly, then joins the queue.
//!
//! *Unlock* clears `LOCKED`; if it sees `WAITERS` without `WAKING` it claims the first waiter, sets `WAKING`
//! and wakes it. The woken one competes as everybody does; when it loses it joins at the **front**. When it has
//! waited for longer than [`PATIENCE`] it also sets `HAND_OVER`, and the next unlock gives it the lock without
//! clearing `LOCKED`: barging is bounded.
//!
//! # Why no wake-up is lost
//!
//! A waiter joins under the queue's lock, and only if `LOCKED` is set in the same atomic operation that sets
//! `WAITERS`. So an unlock comes after it, sees `WAITERS`, and either wakes someone or sees `WAKING`. `WAKING`
//! means that a woken waiter has not yet retried. It either takes the lock, and then its own unlock comes
//! after it has cleared `WAKING`; or it finds `LOCKED` set in the operation that clears `WAKING`, and then that
//! holder's unlock comes after. Either way a later unlock looks at the queue. An unlocker that finds, under the
//! queue's lock, that the mutex has been taken again leaves the queue to the new holder for the same reason.
//!
//! Rejected: a ticket or hand-over lock (176 ns a lock instead of 12 on two workers, BASELINES 8); waking at
//! every unlock while others are on their way (each wake-up costs more than a hundred uncontended locks).

use std::time::{Duration, Instant};

use crate::atomic::{AtomicU32, Backoff, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, SpinGuard, SpinLock};
use crate::park::wait_list::{self, End, WaitList};
use crate::queue::Hope;

const LOCKED: u32 = 1;
const WAITERS: u32 = 1 << 1;
const WAKING: u32 = 1 << 2;
const HAND_OVER: u32 = 1 << 3;

/// How long a waiter loses to those who barge before the lock is handed to it.
const PATIENCE: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The pauses of a spin, in spin hints, with an attempt after each. Nobody touches the word meanwhile, so the holder
/// can lock and unlock many times at its full speed.
const SPIN: &[u32] = &[4, 8, 16, 32];

/// What a waiter is given when its wait ends: `true` if the lock is already its own.
type Granted = bool;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RawMutex {
    word: AtomicU32,
    /// Spinning does not pay if the holders park while they hold the mutex, least of all on a worker that must run
    /// the holder.
    hope: Hope<64>,
    queue: SpinLock<WaitList<Granted>>,
}

/// The wait for the lock was ended by a cancellation; the lock is not held.
#[derive(Debug)]
pub(crate) struct Cancelled;

impl RawMutex {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicU32::new(0), hope: Hope::new(), queue: SpinLock::new(WaitList::new()) }
        }
    }

    /// Takes the lock; unwinds if the fiber is cancelled while it waits.
    #[inline]
    pub(crate) fn lock(&self) {
        if !self.take() && self.lock_contended().is_err() {
            park::unwind();
        }
    }

    /// Like [`lock`](Self::lock), but leaves the unwinding to the caller.
    #[inline]
    pub(crate) fn lock_unless_cancelled(&self) -> Result<(), Cancelled> {
        if self.take() { Ok(()) } else { self.lock_contended() }
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        // The load spares a contended cache line the write of a hopeless attempt.
        self.word.load(Ordering::Relaxed) & LOCKED == 0 && self.take()
    }

    /// Releases the lock, or hands it over. Only the holder calls this.
    #[inline]
    pub(crate) fn unlock(&self) {
        // The usual case without a look at the word before: such a load waits for the locked operation that took
        // the lock, a tenth of the whole on an uncontended mutex.
        // Release: pairs with the Acquire in `take` and in `join`.
        if let Err(word) = self.word.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed) {
            self.unlock_contended(word);
        }
    }

    #[cold]
    fn unlock_contended(&self, word: u32) {
        if word & HAND_OVER != 0 {
            return self.hand_over();
        }
        // Release: as in `unlock`. A `HAND_OVER` that was set since is found again in `wake_next`.
        let old = self.word.fetch_sub(LOCKED, Ordering::Release);
        debug_assert!(old & LOCKED != 0, "only the holder unlocks");
        if old & (WAITERS | WAKING) == WAITERS {
            self.wake_next();
        }
    }

    #[inline(always)]
    fn take(&self) -> bool {
        // A test of the one bit that is set compiles to a single `lock bts` on x86.
        // Acquire: pairs with the Release of the unlock before it.
        self.word.fetch_or(LOCKED, Ordering::Acquire) & LOCKED == 0
    }

    #[cold]
    fn lock_contended(&self) -> Result<(), Cancelled> {
        if self.spin() {
            return Ok(());
        }
        let mut woken = 0;
        let mut end = End::Back;
        let mut since = None;
        loop {
            let impatient = woken != 0 && since.is_some_and(|since: Instant| since.elapsed() >= PATIENCE);
            let queue = self.queue.lock();
            if self.join(woken, if impatient { HAND_OVER } else { 0 }) {
                return Ok(());
            }
            since.get_or_insert_with(Instant::now);
            match wait_list::wait(queue, |queue| queue, end, false, Reason::Mutex, None, || ()) {
                (Outcome::Notified, true) => return Ok(()),
                (Outcome::Notified, false) => {
                    woken = WAKING;
                    end = End::Front;
                    if self.take() || self.spin() {
                        // Relaxed: the bit carries no data. Before our own unlock, so that it looks at the queue.
                        self.word.fetch_and(!WAKING, Ordering::Relaxed);
                        return Ok(());
                    }
                }
                // The claim was won by the cancellation, so no unlocker has woken this waiter or handed it the
                // lock: nothing is owed. A stale `WAITERS` or `HAND_OVER` costs the next unlock one look.
                (Outcome::Cancelled, _) => return Err(Cancelled),
                (Outcome::TimedOut, _) => unreachable!("a mutex is waited for without a deadline"),
            }
        }
    }

    /// Under the queue's lock: takes the mutex if it is free, else announces a waiter. Gives up `woken` (nothing
    /// or `WAKING`) either way. Returns whether it was taken.
    fn join(&self, woken: u32, hand_over: u32) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = word & LOCKED == 0;
            let joined = if free { LOCKED } else { WAITERS | hand_over };
            // Acquire: as in `take`.
            match self.word.compare_exchange_weak(
                word,
                (word & !woken) | joined,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return free,
                Err(now) => word = now,
            }
        }
    }

    /// Tries to take the lock for about as long as it takes to park and be woken, if that has paid lately.
    fn spin(&self) -> bool {
        if !self.hope.says_spin() {
            return false;
        }
        let mut backoff = Backoff::new(SPIN);
        while !backoff.is_used_up() {
            backoff.pause();
            if self.try_lock() {
                self.hope.confirm();
                return true;
            }
        }
        self.hope.disappoint();
        false
    }

    /// After an unlock that saw `WAITERS`: wakes the first waiter, unless that is somebody else's duty by now.
    #[cold]
    fn wake_next(&self) {
        let mut queue = self.queue.lock();
        let word = self.word.load(Ordering::Relaxed);
        if word & (LOCKED | WAKING) != 0 {
            return;
        }
        if word & HAND_OVER != 0 {
            if self.take() {
                self.hand_over_from(queue);
            }
            return;
        }
        // Before the claim: the woken one may run, and clear the bit, at once.
        self.word.fetch_or(WAKING, Ordering::Relaxed);
        let woken = queue.pop_front();
        let mut done = 0;
        if woken.is_none() {
            done |= WAKING;
        }
        if queue.is_empty() {
            done |= WAITERS;
        }
        if done != 0 {
            self.word.fetch_and(!done, Ordering::Relaxed);
        }
        drop(queue);
        if let Some(woken) = woken {
            park::wake(woken);
        }
    }

    /// Instead of an unlock: the lock stays taken and belongs to the first waiter.
    #[cold]
    fn hand_over(&self) {
        self.hand_over_from(self.queue.lock());
    }

    fn hand_over_from(&self, mut queue: SpinGuard<'_, WaitList<Granted>>) {
        // The claim's Release publishes what the lock guards to the waiter that is granted it.
        let woken = queue.pop_front_exchanging(&mut true);
        let mut done = HAND_OVER;
        if queue.is_empty() {
            done |= WAITERS;
        }
        if woken.is_none() {
            done |= LOCKED;
        }
        // Release: as in `unlock`, when all who waited were cancelled and the lock becomes free.
        self.word.fetch_and(!done, Ordering::Release);
        drop(queue);
        if let Some(woken) = woken {
            park::wake(woken);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a few locks and unlocks: nobody sleeps forever, and nobody shares.

    #![expect(unsafe_code, reason = "loom checks accesses to a cell")]

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::RawMutex;

    struct Guarded {
        mutex: RawMutex,
        /// Loom reports two threads inside as a race on this cell.
        entered: UnsafeCell<u32>,
    }

    impl Guarded {
        fn enter(&self) {
            self.mutex.lock();
            // SAFETY: what is being checked: the mutex makes this exclusive.
            self.entered.with_mut(|entered| unsafe { *entered += 1 });
            self.mutex.unlock();
        }
    }

    fn check(threads: usize, rounds: u32, preemptions: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(move || {
            let guarded = Arc::new(Guarded { mutex: RawMutex::new(), entered: UnsafeCell::new(0) });
            let others: Vec<_> = (1..threads)
                .map(|_| {
                    let guarded = Arc::clone(&guarded);
                    thread::spawn(move || (0..rounds).for_each(|_| guarded.enter()))
                })
                .collect();
            (0..rounds).for_each(|_| guarded.enter());
            others.into_iter().for_each(|other| other.join().unwrap());
            // SAFETY: the other threads have ended.
            let entered = guarded.entered.with(|entered| unsafe { *entered });
            assert_eq!(entered, threads as u32 * rounds);
            // What is left is at most a stale hint, never a lock or a promise to wake.
            assert!(guarded.mutex.try_lock());
            guarded.mutex.unlock();
        });
    }

    #[test]
    fn two_that_lock_twice_exclude_each_other_and_end() {
        check(2, 2, 3);
    }

    #[test]
    fn three_that_lock_once_exclude_each_other_and_end() {
        check(3, 1, 2);
    }
}
