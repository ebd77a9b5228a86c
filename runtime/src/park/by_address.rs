//! Sleepers by address: those who wait for what happens to a word in memory, as in futex(2).
//!
//! A bucket is a short lock around a wait list, and a count of those who are in the list or are about to be. Who sleeps takes the lock,
//! looks at the word, counts itself, and releases the lock; who wakes has changed the word, and looks at the lock and then at the count. A full
//! fence stands between the first two steps on both sides. So one of them sees the other: the sleeper the new word, and then it does not
//! sleep, or the waker the lock, taken, or released since, and then the count as well. Then it takes the lock and finds the sleeper, who looked
//! at the word under it. To take the lock is a locked operation, which is the fence on x86_64.
//!
//! The count changes under the lock only, so no change of it is more than a store. Who wakes a sleeper takes it off the count; a
//! sleeper whose wait has ended otherwise takes itself off.

#![cfg_attr(feature = "own-tls", expect(unsafe_code, reason = "a copy of the process forgets the sleepers"))]

use std::cell::Cell;
use std::sync::atomic::compiler_fence;
use std::time::Instant;

use super::key::{Found, Key};
use super::primitive::{self as park, SpinGuard, SpinLock, Waiter, Wakeup};
use super::wait_list::{self, End, WaitList};
use crate::atomic::{AtomicUsize, Ordering, fence};
use crate::cell::{Awaited, Outcome, Reason};

/// How many buckets there are. Addresses that share one share its lock.
pub(crate) const BUCKETS: usize = if cfg!(loom) { 1 } else { 1024 };

/// The lowest three bits of an address at which fibers sleep for a mutex of pthreads, which is a multiple of 8. For people who look at a dump.
#[cfg(feature = "own-tls")]
pub const MUTEX_MARK: usize = 3;

/// The same of a reader-writer lock.
#[cfg(feature = "own-tls")]
pub const RWLOCK_MARK: usize = 5;

/// How many sleepers are claimed each time that the lock is held.
const BATCH: usize = if cfg!(loom) { 2 } else { 16 };

/// See the module's documentation.
pub(crate) struct Table([Bucket; BUCKETS]);

#[repr(align(64))]
struct Bucket {
    sleepers: SpinLock<WaitList<Key>>,
    /// How many are in the list, or are about to join it. Written under the lock.
    count: AtomicUsize,
}

/// The lock of a bucket.
type Sleepers<'a> = SpinGuard<'a, WaitList<Key>>;

impl Bucket {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self { sleepers: SpinLock::new(WaitList::new()), count: AtomicUsize::new(0) }
    }

    #[cfg(loom)]
    fn new() -> Self {
        Self { sleepers: SpinLock::new(WaitList::new()).with_word(), count: AtomicUsize::new(0) }
    }
}

impl Table {
    /// A table without sleepers.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self([const { Bucket::new() }; BUCKETS])
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Bucket::new()))
    }

    /// Forgets all sleepers.
    ///
    /// # Safety
    ///
    /// The caller is the only thread: its process is a copy by fork(2), in which the sleepers are not.
    #[cfg(feature = "own-tls")]
    pub(crate) unsafe fn begin_anew(&self) {
        for bucket in &self.0 {
            // SAFETY: the caller's promise.
            unsafe { bucket.sleepers.begin_anew(WaitList::new()) };
            // Relaxed: there is no other thread.
            bucket.count.store(0, Ordering::Relaxed);
        }
    }

    /// The bucket of an address. Words that lie side by side are in different ones.
    #[inline(always)]
    fn bucket(&self, address: usize) -> &Bucket {
        &self.0[(address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) % BUCKETS]
    }

    /// Sleeps until [`wake`](Self::wake) is called for the key, if `stay` says so once all who wake can see the caller; else the
    /// result is `None`. Calls `then` when the caller can be woken: for a lock that it holds so far.
    /// `wait` is [`park::wait`](fn@park::wait), or one that ends otherwise.
    ///
    /// `stay` runs under a lock: it only looks at memory.
    #[inline]
    pub(crate) fn sleep(
        &self,
        key: Key,
        deadline: Option<Instant>,
        stay: impl FnOnce() -> bool,
        then: impl FnOnce(),
        wait: impl FnOnce(&Waiter, Reason, Option<Instant>) -> Outcome,
    ) -> Option<Outcome> {
        let bucket = self.bucket(key.address);
        let sleepers = bucket.sleepers.lock();
        bucket.count_in(&sleepers);
        if !stay() {
            bucket.count_out(&sleepers);
            return None;
        }
        let list: fn(&mut WaitList<Key>) -> &mut WaitList<Key> = |list| list;
        // For people who look at a dump.
        let awaited = Awaited { reason: Reason::Address, object: std::ptr::without_provenance(key.address) };
        let outcome = wait_list::wait_by(sleepers, list, End::Back, key, awaited, deadline, then, wait).0;
        if outcome != Outcome::Notified {
            bucket.count_out(&bucket.sleepers.lock());
        }
        Some(outcome)
    }

    /// Whether somebody may sleep at `address`. Without a fence: it sees those sleepers whose look at the word is ordered before the
    /// caller's change of it. On x86_64 that is so if the change was a locked operation; elsewhere a full fence must stand between.
    #[inline(always)]
    #[cfg(not(loom))]
    pub(crate) fn has_sleepers(&self, address: usize) -> bool {
        self.bucket(address).may_have_sleepers()
    }

    /// Wakes up to `most` of those who sleep at the key's address for one of its bits, the longest first. The caller has changed the word.
    #[inline]
    pub(crate) fn wake(&self, key: Key, most: usize) -> Found {
        let bucket = self.bucket(key.address);
        // Relaxed: who is found under the lock is woken, so the usual case needs no fence. Whether there is nobody, only the fence tells.
        if most == 1
            && bucket.count.load(Ordering::Relaxed) != 0
            && let Some(found) = bucket.wake_one(key)
        {
            return found;
        }
        // See the module's documentation.
        fence(Ordering::SeqCst);
        match most {
            _ if !bucket.may_have_sleepers() => Found::default(),
            1 => bucket.wake_one(key).unwrap_or_default(),
            _ => bucket.wake(key, most),
        }
    }
}

impl Bucket {
    /// Whether somebody is in the list, or about to be.
    #[inline(always)]
    fn may_have_sleepers(&self) -> bool {
        // In this order. The lock's Acquire brings the count of who has released it; the count publishes nothing.
        self.sleepers.is_locked() || self.count.load(Ordering::Relaxed) != 0
    }

    /// Counts the caller, who has just taken the lock, and looks at the word next.
    #[inline(always)]
    fn count_in(&self, _sleepers: &Sleepers<'_>) {
        // See the module's documentation. What is left to forbid on x86_64 is that the compiler moves the look at the word before the lock.
        if cfg!(any(loom, not(target_arch = "x86_64"))) {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence(Ordering::SeqCst);
        }
        // Relaxed: whoever looks without the lock finds that taken, or has what its release has published.
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Takes somebody off the count who is in the list no more.
    #[inline(always)]
    fn count_out(&self, _sleepers: &Sleepers<'_>) {
        // Relaxed: who sees the count too high takes the lock for nothing.
        self.count.store(self.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// [`wake`](Self::wake) for the usual number.
    fn wake_one(&self, key: Key) -> Option<Found> {
        let is_overtaken = Cell::new(false);
        let mut sleepers = self.sleepers.lock();
        let wakeup = sleepers.pop_first(|there| key.finds(there, &is_overtaken))?;
        self.count_out(&sleepers);
        drop(sleepers);
        park::wake(wakeup);
        Some(Found { count: 1, is_overtaken: is_overtaken.get() })
    }

    #[cold]
    fn wake(&self, key: Key, most: usize) -> Found {
        let is_overtaken = Cell::new(false);
        let mut count = 0;
        while count < most {
            let mut batch: [Option<Wakeup>; BATCH] = [const { None }; BATCH];
            let mut sleepers = self.sleepers.lock();
            let mut claimed = 0;
            while claimed < BATCH.min(most - count) {
                let Some(wakeup) = sleepers.pop_first(|there| key.finds(there, &is_overtaken)) else {
                    break;
                };
                self.count_out(&sleepers);
                batch[claimed] = Some(wakeup);
                claimed += 1;
            }
            drop(sleepers);
            batch.iter_mut().filter_map(Option::take).for_each(park::wake);
            count += claimed;
            if claimed < BATCH {
                break;
            }
        }
        Found { count, is_overtaken: is_overtaken.get() }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of fibers that sleep in the table, threads that sleep in the kernel at the same word, and those who change the
    //! word and wake: nobody sleeps for ever.

    use loom::sync::atomic::AtomicU32;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    const KEY: Key = Key::new(64, u32::MAX);

    struct Futex {
        table: Table,
        /// The kernel's sleepers: how many there are, and how many of them were woken.
        kernel: Mutex<(usize, usize)>,
        woken: Condvar,
        word: AtomicU32,
    }

    impl Futex {
        fn new() -> Arc<Self> {
            let (kernel, woken) = (Mutex::new((0, 0)), Condvar::new());
            Arc::new(Self { table: Table::new(), kernel, woken, word: AtomicU32::new(0) })
        }

        /// As a hook on a fiber. Returns whether it slept.
        fn sleep(&self, value: u32, deadline: Option<Instant>) -> Option<Outcome> {
            let stay = || self.word.load(Ordering::SeqCst) == value;
            self.table.sleep(KEY, deadline, stay, || (), park::wait)
        }

        /// As the kernel, which looks at the word under its lock.
        fn sleep_in_kernel(&self, value: u32) {
            let mut kernel = self.kernel.lock().unwrap();
            if self.word.load(Ordering::SeqCst) != value {
                return;
            }
            kernel.0 += 1;
            while kernel.1 == 0 {
                kernel = self.woken.wait(kernel).unwrap();
            }
            kernel.1 -= 1;
        }

        /// Everybody has gone, so nobody is counted.
        fn assert_empty(&self) {
            assert_eq!(self.table.bucket(KEY.address).count.load(Ordering::Relaxed), 0);
        }

        /// As a hook: first the table's, then the kernel's.
        fn wake(&self, most: usize) {
            let rest = most - self.table.wake(KEY, most).count;
            // The kernel has a full fence before it looks for sleepers.
            fence(Ordering::SeqCst);
            let mut kernel = self.kernel.lock().unwrap();
            let woken = rest.min(kernel.0);
            kernel.0 -= woken;
            kernel.1 += woken;
            self.woken.notify_all();
        }
    }

    fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    #[test]
    fn who_changes_the_word_wakes_the_fiber_and_the_thread() {
        check(2, || {
            let futex = Futex::new();
            let fiber = thread::spawn({
                let futex = futex.clone();
                move || {
                    while futex.word.load(Ordering::Acquire) == 0 {
                        let _ = futex.sleep(0, None);
                    }
                }
            });
            let kernel_thread = thread::spawn({
                let futex = futex.clone();
                move || {
                    while futex.word.load(Ordering::Acquire) == 0 {
                        futex.sleep_in_kernel(0);
                    }
                }
            });
            futex.word.store(1, Ordering::Release);
            futex.wake(usize::MAX);
            fiber.join().unwrap();
            kernel_thread.join().unwrap();
            futex.assert_empty();
        });
    }

    /// A lock as std's: 0 is free, 1 held, 2 held and somebody sleeps.
    fn lock(futex: &Futex, sleep: impl Fn(&Futex)) {
        while futex.word.swap(2, Ordering::AcqRel) != 0 {
            sleep(futex);
        }
    }

    fn unlock(futex: &Futex) {
        if futex.word.swap(0, Ordering::AcqRel) == 2 {
            futex.wake(1);
        }
    }

    #[test]
    fn a_fiber_and_a_thread_pass_a_lock_to_each_other() {
        check(3, || {
            let futex = Futex::new();
            let fiber = thread::spawn({
                let futex = futex.clone();
                move || {
                    lock(&futex, |futex| _ = futex.sleep(2, None));
                    unlock(&futex);
                }
            });
            lock(&futex, |futex| futex.sleep_in_kernel(2));
            unlock(&futex);
            fiber.join().unwrap();
            futex.assert_empty();
        });
    }

    #[test]
    fn a_wake_up_that_a_time_out_loses_goes_to_another() {
        check(2, || {
            let futex = Futex::new();
            let hasty = thread::spawn({
                let futex = futex.clone();
                // The time is up at any moment. Who is woken instead passes it on.
                move || {
                    if futex.sleep(0, Some(Instant::now())) == Some(Outcome::Notified) {
                        futex.wake(1);
                    }
                }
            });
            let patient = thread::spawn({
                let futex = futex.clone();
                move || {
                    while futex.word.load(Ordering::Acquire) == 0 {
                        let _ended = futex.sleep(0, None);
                    }
                }
            });
            futex.word.store(1, Ordering::Release);
            futex.wake(1);
            hasty.join().unwrap();
            patient.join().unwrap();
            futex.assert_empty();
        });
    }
}
