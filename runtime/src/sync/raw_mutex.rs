//! The mutex without its value: the word, the queue behind it, and the protocol between them.
//!
//! # The word
//!
//! | bit | set | cleared | means |
//! |---|---|---|---|
//! | `LOCKED` | by the fiber or thread that takes the lock, or by an unlocker for the waiter that it hands off to | by the holder | the mutex is held |
//! | `WAITERS` | under the queue's lock, by a waiter that joins while `LOCKED` | under the queue's lock, when the queue is seen empty | the holder must look at the queue when it unlocks |
//! | `WAKING` | under the queue's lock, by the unlocker that wakes a waiter | by the woken waiter, when it has the lock or has joined the queue again | a woken waiter is on its way: wake no other |
//! | `HANDOFF` | under the queue's lock, by a starving waiter | by the unlocker that hands off | the holder passes the lock on instead of releasing it |
//!
//! # The protocol
//!
//! *Lock* sets `LOCKED`. If it was clear, the lock is taken, whatever the other bits say. So a running fiber takes the lock
//! again although others wait (it barges): a handoff at every unlock would make each critical section as long as a
//! trip through a scheduler. If `LOCKED` was set, the caller spins briefly, and then joins the queue.
//!
//! *Unlock* clears `LOCKED`. If it sees `WAITERS` without `WAKING`, it claims the first waiter, sets `WAKING` and wakes the
//! waiter. The woken waiter competes with all others; when it loses, it joins at the **front**. When it has waited for
//! longer than [`STARVATION_THRESHOLD`], it also sets `HANDOFF`, and clears `WAKING`. An unlock that sees `HANDOFF` takes the lock
//! again at once, for that waiter. Who spins leaves such a lock alone, so only a call of *lock* that comes in the tens of nanoseconds
//! between can barge, and its unlock does the same: barging is bounded.
//!
//! # Why no wake-up is lost
//!
//! A waiter joins under the queue's lock, and only if `LOCKED` is set in the same atomic operation that sets
//! `WAITERS`. So an unlock comes after it, sees `WAITERS`, and either wakes a waiter or sees `WAKING`. `WAKING`
//! means that a woken waiter has not yet retried. It either takes the lock, and then its own unlock comes
//! after it has cleared `WAKING`; or it finds `LOCKED` set in the operation that clears `WAKING`, and then that
//! holder's unlock comes after. Either way a later unlock looks at the queue. An unlocker that finds, under the
//! queue's lock, that the mutex has been taken again leaves the queue to the new holder for the same reason.
//!
//! The unlock is one atomic operation, and nothing is loaded before it: such a load waits for the locked operation that took the
//! lock, and a comparison with the usual word fails all the time while a woken waiter is on its way.
//!
//! Rejected: a ticket lock, or a handoff at every unlock (176 ns a lock instead of 12 on two workers); waking at
//! every unlock while other waiters are on their way (each wake-up costs more than a hundred uncontended locks).

use std::time::{Duration, Instant};

use crate::atomic::{AtomicU32, Backoff, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::holder::Holder;
use crate::park::primitive::{self as park, Cost, SpinGuard, SpinLock};
use crate::park::wait_list::{self, End, WaitList};
use crate::queue::AdaptiveSpin;

const LOCKED: u32 = 1;
const WAITERS: u32 = 1 << 1;
const HANDOFF: u32 = 1 << 2;
/// The sign, so that an unlock tells by one comparison whether it must look at the queue.
const WAKING: u32 = 1 << 31;

/// How long a waiter loses to barging lockers before the lock is handed to it.
const STARVATION_THRESHOLD: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The pauses of a spin, in spin hints, with an attempt after each. The word is not touched during a pause, so the holder
/// can lock and unlock many times at its full speed.
const SPIN: &[u32] = &[4, 8, 16, 32];

/// The result that a waiter is given when its wait ends: `true` if it already holds the lock.
type Granted = bool;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RawMutex {
    word: AtomicU32,
    /// Spinning does not pay if the holders park while they hold the mutex, least of all on a worker that has to run
    /// the holder.
    spin: AdaptiveSpin<64>,
    holder: Holder,
    queue: SpinLock<WaitList<Granted>>,
}

/// A cancellation has ended the wait for the lock. The lock is not held.
#[derive(Debug)]
pub(crate) struct Cancelled;

/// Where a debugger finds the word of a mutex, the bit that says that it is held, and its holder.
pub(crate) const MUTEX_LAYOUT: [usize; 3] =
    [std::mem::offset_of!(RawMutex, word), LOCKED as usize, std::mem::offset_of!(RawMutex, holder)];

impl RawMutex {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                word: AtomicU32::new(0),
                spin: AdaptiveSpin::new(),
                holder: Holder::new(),
                queue: SpinLock::new(WaitList::new()),
            }
        }
    }

    /// Takes the lock, and spends. Unwinds if the fiber is cancelled while it waits.
    #[inline]
    pub(crate) fn lock(&self) {
        if self.take() {
            self.holder.note();
            park::spend_locked(Cost::Wait, || self.unlock(), || self.wait_and_lock());
        } else {
            // Who has waited for the lock keeps it.
            park::spend(Cost::Wait);
            self.wait_and_lock();
        }
    }

    #[cold]
    fn wait_and_lock(&self) {
        if self.lock_contended().is_err() {
            park::unwind();
        }
        self.holder.note();
    }

    /// Like [`lock`](Self::lock), but spends nothing, and leaves the unwinding to the caller.
    #[inline]
    pub(crate) fn lock_unless_cancelled(&self) -> Result<(), Cancelled> {
        if !self.take() {
            self.lock_contended()?;
        }
        self.holder.note();
        Ok(())
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        // The load spares a contended cache line the write of an attempt that must fail.
        let is_taken = self.word.load(Ordering::Relaxed) & LOCKED == 0 && self.take();
        if is_taken {
            self.holder.note();
        }
        is_taken
    }

    /// An address on the stack of the fiber or thread that holds the lock, as of late. `None` if nobody does.
    pub(crate) fn holder(&self) -> Option<usize> {
        if self.word.load(Ordering::Relaxed) & LOCKED == 0 { None } else { self.holder.address() }
    }

    /// Releases the lock, or hands it off. Only the holder calls this.
    #[inline]
    pub(crate) fn unlock(&self) {
        // Release: pairs with the Acquire in `take` and in `join`.
        let old = self.word.fetch_sub(LOCKED, Ordering::Release);
        debug_assert!(old & LOCKED != 0, "only the holder unlocks");
        // That is `WAITERS` without `WAKING`: `HANDOFF` comes with the one, and without the other.
        if old.cast_signed() > LOCKED.cast_signed() {
            self.wake_next();
        }
    }

    #[inline(always)]
    fn take(&self) -> bool {
        // A test of the bit that is set compiles to a single `lock bts` on x86.
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
            let is_starving =
                woken != 0 && since.is_some_and(|since: Instant| since.elapsed() >= STARVATION_THRESHOLD);
            let queue = self.queue.lock();
            if self.join(woken, if is_starving { HANDOFF } else { 0 }) {
                return Ok(());
            }
            since.get_or_insert_with(Instant::now);
            match wait_list::wait(queue, |queue| queue, end, false, Reason::Mutex.of(self), None, || ()) {
                (Outcome::Notified, true) => return Ok(()),
                (Outcome::Notified, false) => {
                    woken = WAKING;
                    end = End::Front;
                    if self.take() || self.spin() {
                        // Relaxed: the bit carries no data. Cleared before our own unlock, so that it looks at the queue.
                        self.word.fetch_and(!WAKING, Ordering::Relaxed);
                        return Ok(());
                    }
                }
                // The cancellation won the claim, so no unlocker has woken this waiter or handed it the lock: nothing
                // needs to be passed on. A stale `WAITERS` or `HANDOFF` costs the next unlock one look at the queue.
                (Outcome::Cancelled, _) => return Err(Cancelled),
                (Outcome::TimedOut, _) => unreachable!("a mutex is waited for without a deadline"),
            }
        }
    }

    /// Under the queue's lock: takes the mutex if it is free, else sets `WAITERS` and `handoff`. Clears `woken` (nothing or
    /// `WAKING`) either way. Returns whether the mutex was taken.
    fn join(&self, woken: u32, handoff: u32) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = word & LOCKED == 0;
            let joined = if free { LOCKED } else { WAITERS | handoff };
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

    /// Tries to take the lock for about as long as parking and being woken takes, if that has paid lately.
    fn spin(&self) -> bool {
        if !self.spin.should_spin() {
            return false;
        }
        let mut backoff = Backoff::new(SPIN);
        while !backoff.is_used_up() {
            backoff.pause();
            if self.word.load(Ordering::Relaxed) & (LOCKED | HANDOFF) == 0 && self.take() {
                self.spin.succeeded();
                return true;
            }
        }
        self.spin.failed();
        false
    }

    /// After an unlock that saw `WAITERS`: wakes the first waiter, unless another fiber or thread has to by now.
    #[cold]
    fn wake_next(&self) {
        let mut queue = self.queue.lock();
        let word = self.word.load(Ordering::Relaxed);
        if word & (LOCKED | WAKING) != 0 {
            return;
        }
        if word & HANDOFF != 0 {
            if self.take() {
                self.hand_off(queue);
            }
            return;
        }
        // Before the claim: the woken waiter may run at once, and clear the bit.
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
    fn hand_off(&self, mut queue: SpinGuard<'_, WaitList<Granted>>) {
        self.holder.forget();
        // The claim's Release publishes the guarded value to the waiter that gets the lock.
        let woken = queue.pop_front_exchanging(&mut true);
        let mut done = HANDOFF;
        if queue.is_empty() {
            done |= WAITERS;
        }
        if woken.is_none() {
            done |= LOCKED;
        }
        // Release: as in `unlock`, when all waiters were cancelled and the lock becomes free.
        self.word.fetch_and(!done, Ordering::Release);
        drop(queue);
        if let Some(woken) = woken {
            park::wake(woken);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a few locks and unlocks: nobody sleeps forever, and no two hold the lock.

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
            // SAFETY: the mutex makes this exclusive, which is the property under test.
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
            // At most a stale hint may be left, never a lock or a pending wake-up.
            assert!(guarded.mutex.try_lock());
            guarded.mutex.unlock();
        });
    }

    #[test]
    fn two_threads_that_lock_twice_exclude_each_other_and_end() {
        check(2, 2, 3);
    }

    #[test]
    fn three_threads_that_lock_once_exclude_each_other_and_end() {
        check(3, 1, 2);
    }
}
