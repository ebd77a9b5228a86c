//! How a wait is interrupted from outside, for which it is in a list while it lasts.
//!
//! Who interrupts has noted why, takes the list's lock, chooses a wait, and claims its waiter as an event would; under the lock the waiter is
//! still there. A wait enters the list, and then looks at what was noted (`take`): what was noted before somebody found the list without it,
//! it finds itself; later it is found. It leaves the list before its frame ends, which takes the lock.
//!
//! A wait at an address of the table of sleepers is woken there, with all who sleep there. Its look under the bucket's lock is at the
//! interruption as well.

#![expect(unsafe_code, reason = "waiters are claimed while their frames are in a list")]
#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export them, which the models do without"))]

use std::collections::BTreeMap;

use super::primitive::{self as park, SpinLock, Waiter};
use crate::atomic::{AtomicU8, AtomicU64, Ordering, const_fn};
use crate::cell::Outcome;

/// What a handler does to calls that were interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Interrupted {
    /// No handler has run.
    Not = 0,
    /// Nor has one here: the caller was told to look for what was sent to it. If there is nothing for it, its call goes on.
    Looks = 1,
    /// Those that can be restarted go on (SA_RESTART).
    Restarts = 2,
    /// They end in EINTR.
    Ends = 3,
}

impl Interrupted {
    fn of(state: u8) -> Self {
        match state {
            0 => Self::Not,
            1 => Self::Looks,
            2 => Self::Restarts,
            _ => Self::Ends,
        }
    }
}

/// What has happened to a wait that is under way.
#[derive(Debug)]
pub struct Interruption(AtomicU8);

impl Interruption {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Whether the wait is to end.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        // The locks order it: the list's, and that of a bucket of sleepers.
        self.0.load(Ordering::SeqCst) != Interrupted::Not as u8
    }

    pub(crate) fn state(&self) -> Interrupted {
        Interrupted::of(self.0.load(Ordering::SeqCst))
    }

    fn set(&self, how: Interrupted) {
        self.0.fetch_max(how as u8, Ordering::SeqCst);
    }

    /// Waits for `waiter`, unless the wait was interrupted before it began.
    #[inline]
    pub(crate) fn wait(&self, waiter: &Waiter, wait: impl FnOnce() -> Outcome) -> Outcome {
        self.wait_or(Outcome::Notified, waiter, wait)
    }

    /// The same, of a waiter in the table of sleepers: it ends as [`By::Sleeper`] says.
    #[inline]
    pub(crate) fn wait_as_sleeper(&self, waiter: &Waiter, wait: impl FnOnce() -> Outcome) -> Outcome {
        self.wait_or(Outcome::Cancelled, waiter, wait)
    }

    #[inline]
    fn wait_or(&self, interrupted: Outcome, waiter: &Waiter, wait: impl FnOnce() -> Outcome) -> Outcome {
        if self.is_set() && waiter.claim(interrupted).is_some() { interrupted } else { wait() }
    }
}

/// How a caller waits.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Waiter(*const Waiter),
    /// As a sleeper at an address, whose wait ends as if cancelled: so it takes itself out of the table.
    Sleeper(*const Waiter),
    /// It sleeps in the table of sleepers, where all are woken.
    Address(usize),
}

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// The fiber's address.
    pub(crate) fiber: usize,
    pub(crate) is_main: bool,
    /// Whether it waits for a lock, or in another call that no handler ends: it is not to be found for a signal that is for any fiber.
    pub(crate) goes_on: bool,
    /// The signals that do not interrupt it, a bit each.
    pub(crate) blocked: u64,
}

struct Wait {
    who: Who,
    by: By,
    interruption: *const Interruption,
}

// SAFETY: what the addresses lead to is used under the list's lock only, where it is alive.
unsafe impl Send for Wait {}

/// The waits that can be interrupted, by the order in which they began.
pub(crate) struct Waits {
    list: SpinLock<BTreeMap<u64, Wait>>,
    /// How many have been in the list.
    count: AtomicU64,
}

impl Waits {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { list: SpinLock::new(BTreeMap::new()), count: AtomicU64::new(0) }
        }
    }

    /// Forgets all waits.
    ///
    /// # Safety
    ///
    /// The caller is the only thread: its process is a copy by fork(2), in which the waits are not.
    #[cfg(all(feature = "own-tls", not(loom)))]
    pub(crate) unsafe fn begin_anew(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.list.begin_anew(BTreeMap::new()) };
    }

    /// Calls `wait` while it is in the list. `take` says what was noted for the caller before.
    pub(crate) fn listed<R>(
        &self,
        who: Who,
        by: By,
        interruption: &Interruption,
        take: impl FnOnce() -> Interrupted,
        wait: impl FnOnce(&Interruption) -> R,
    ) -> R {
        struct Listed<'a>(&'a Waits, u64);
        impl Drop for Listed<'_> {
            fn drop(&mut self) {
                self.0.list.lock().remove(&self.1);
            }
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.list.lock().insert(number, Wait { who, by, interruption });
        let _listed = Listed(self, number);
        interruption.set(take());
        wait(interruption)
    }

    /// Calls `wait` of a call that no signal ends, while it is in the list: what is sent to the caller ends it early, as if it was cancelled. Returns
    /// also whether something was sent, which the caller is to attend to: who has sent it relies on that, also if an event was faster.
    pub(crate) fn listed_or_left(
        &self,
        who: Who,
        waiter: &Waiter,
        is_sent: impl FnOnce() -> bool,
        wait: impl FnOnce() -> Outcome,
    ) -> (Outcome, bool) {
        let interruption = Interruption::new();
        let is_sent = || if is_sent() { Interrupted::Restarts } else { Interrupted::Not };
        let outcome = self.listed(who, By::Sleeper(waiter), &interruption, is_sent, |interruption| {
            interruption.wait_as_sleeper(waiter, wait)
        });
        // It is in the list no more.
        (outcome, interruption.is_set())
    }

    /// Interrupts the first wait that `is_meant`, or else the first that `might_be`. `wake_at` wakes all who sleep at an address. Whether
    /// there was one.
    pub(crate) fn interrupt(
        &self,
        how: Interrupted,
        is_meant: impl Fn(&Who) -> bool,
        might_be: impl Fn(&Who) -> bool,
        wake_at: impl FnOnce(usize),
    ) -> bool {
        let list = self.list.lock();
        let first = |is_it: &dyn Fn(&Who) -> bool| list.values().find(|wait| is_it(&wait.who));
        let Some(&Wait { by, interruption, .. }) = first(&is_meant).or_else(|| first(&might_be)) else {
            return false;
        };
        // SAFETY: a wait is taken out of the list before its frame ends, which takes the lock.
        unsafe { &*interruption }.set(how);
        match by {
            By::Waiter(waiter) | By::Sleeper(waiter) => {
                let outcome =
                    if matches!(by, By::Sleeper(_)) { Outcome::Cancelled } else { Outcome::Notified };
                // SAFETY: as above.
                let wakeup = unsafe { &*waiter }.claim(outcome);
                drop(list);
                wakeup.into_iter().for_each(park::wake);
            }
            By::Address(address) => {
                drop(list);
                wake_at(address);
            }
        }
        true
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a wait, the event that it waits for and somebody who interrupts it: it ends, by an address and by a waiter, and
    //! what was noted is attended to once.

    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicU32};
    use loom::thread;

    use super::*;
    use crate::cell::Reason;
    use crate::park::by_address::Table;
    use crate::park::key::Key;

    const ME: Who = Who { fiber: 1, is_main: false, goes_on: false, blocked: 0 };
    const KEY: Key = Key::new(64, u32::MAX);

    fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    struct World {
        waits: Waits,
        table: Table,
        /// The signals that were sent.
        pending: AtomicU64,
        /// Whether a sender has found no wait: then it brings the signal in another way.
        is_brought: AtomicBool,
        /// The event.
        word: AtomicU32,
    }

    impl World {
        fn new() -> Arc<Self> {
            let (waits, table) = (Waits::new(), Table::new());
            let (is_brought, word) = (AtomicBool::new(false), AtomicU32::new(0));
            Arc::new(Self { waits, table, pending: AtomicU64::new(0), is_brought, word })
        }

        fn attend(&self) -> Interrupted {
            if self.pending.swap(0, Ordering::Relaxed) == 0 {
                Interrupted::Not
            } else {
                Interrupted::Restarts
            }
        }

        /// As pthread_kill to a fiber.
        fn send(&self) {
            self.pending.fetch_or(1, Ordering::Relaxed);
            let wake = |address| _ = self.table.wake(Key { address, ..KEY }, usize::MAX);
            if !self.waits.interrupt(Interrupted::Looks, |who| who.fiber == 1, |_| false, wake) {
                self.is_brought.store(true, Ordering::Relaxed);
            }
        }

        /// How `wait` has ended, as in a hook.
        fn wait(&self, by: By, wait: impl FnOnce(&Interruption)) -> Interrupted {
            let interruption = Interruption::new();
            self.waits.listed(ME, by, &interruption, || self.attend(), wait);
            interruption.state().max(self.attend())
        }
    }

    #[test]
    fn a_wait_by_a_waiter_is_interrupted_whenever_the_signal_is_sent() {
        check(3, || {
            let world = World::new();
            let sender = thread::spawn({
                let world = world.clone();
                move || world.send()
            });
            let waiter = park::waiter();
            let ended = world.wait(By::Waiter(&raw const waiter), |interruption| {
                let outcome = interruption.wait(&waiter, || park::wait(&waiter, Reason::Sleep, None));
                assert_eq!(outcome, Outcome::Notified);
            });
            assert_eq!(ended, Interrupted::Restarts);
            sender.join().unwrap();
        });
    }

    #[test]
    fn a_wait_at_an_address_ends_by_its_event_or_a_signal() {
        ends_by_its_event_or_a_signal(|world| {
            world.wait(By::Address(KEY.address), |interruption| {
                let stay = || world.word.load(Ordering::SeqCst) == 0 && !interruption.is_set();
                let _ = world.table.sleep(KEY, None, stay, || (), park::wait);
            })
        });
    }

    #[test]
    fn a_sleeper_leaves_for_a_signal_and_sleeps_again_until_its_event() {
        ends_by_its_event_or_a_signal(|world| {
            // As a lock: what was sent is only looked at while the waiter is in the lists, and taken afterwards.
            let mut has_letters = false;
            let wait = |waiter: &Waiter, reason, deadline| {
                let is_sent = || world.pending.load(Ordering::Relaxed) != 0;
                let wait = || park::wait(waiter, reason, deadline);
                let (outcome, is_sent) = world.waits.listed_or_left(ME, waiter, is_sent, wait);
                has_letters = is_sent;
                outcome
            };
            let stay = || world.word.load(Ordering::SeqCst) == 0;
            let _ = world.table.sleep(KEY, None, stay, || (), wait);
            if has_letters { world.attend() } else { Interrupted::Not }
        });
    }

    /// `wait` is one of a call that is restarted: it is repeated until its event. Whatever the order of the event and a signal, the wait ends, and
    /// the signal is there once: for the wait, or, if its sender has found none, afterwards.
    fn ends_by_its_event_or_a_signal(wait: fn(&World) -> Interrupted) {
        check(2, move || {
            let world = World::new();
            let [sender, event] = [true, false].map(|is_sender| {
                let world = world.clone();
                thread::spawn(move || {
                    if is_sender {
                        world.send();
                    } else {
                        world.word.store(1, Ordering::Release);
                        world.table.wake(KEY, 1);
                    }
                })
            });
            // Not this thread, which joins: loom takes a late wake-up for the end of the thread that is joined.
            let waiter = thread::spawn({
                let world = world.clone();
                move || {
                    let mut interruptions = 0;
                    // A call that is restarted: it ends by its event only.
                    while world.word.load(Ordering::Acquire) == 0 {
                        interruptions += u32::from(wait(&world) == Interrupted::Restarts);
                    }
                    interruptions
                }
            });
            sender.join().unwrap();
            event.join().unwrap();
            let mut interruptions = waiter.join().unwrap();
            if world.is_brought.load(Ordering::Relaxed) {
                interruptions += u32::from(world.attend() != Interrupted::Not);
            }
            assert_eq!(interruptions, 1, "the signal was noticed");
        });
    }
}
