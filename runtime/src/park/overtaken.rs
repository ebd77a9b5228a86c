//! Sleepers who are overtaken, and who wakes them: that waits until they have gone on. `hook/fairness.rs` tells what for.
//!
//! Who wakes notes how many have gone on so far, and wakes. If it has found a sleeper that is overtaken, it sleeps itself until that number
//! changes, in the same table. The sleeper changes it as soon as it runs: after it was claimed, which is after the note. So the one who waits for
//! it has noted less, and is woken, or does not sleep.
//!
//! Sleepers at several addresses share a number. Then who has woken may go on too soon, which costs one wake-up its fairness.

use std::time::Instant;

use super::by_address::Table;
use super::key::Key;
use super::primitive::Waiter;
use crate::atomic::{AtomicU32, Ordering, const_fn};
use crate::cell::{Outcome, Reason};

/// How many sleepers have gone on that were overtaken, as far as a number of 32 bits tells.
pub(crate) struct GoneOn(AtomicU32);

impl GoneOn {
    const_fn! {
        /// Of nobody.
        pub(crate) const fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// The number, before the caller wakes.
    #[inline(always)]
    pub(crate) fn note(&self) -> u32 {
        // Relaxed: the claim of a sleeper, by a compare-and-swap, comes after this, and its step after the claim.
        self.0.load(Ordering::Relaxed)
    }

    /// Counts the caller, a sleeper that was woken, and wakes those who wait for it.
    pub(crate) fn go_on(&self, table: &Table) {
        // AcqRel: an exchange, as in `Turn`.
        self.0.fetch_add(1, Ordering::AcqRel);
        table.wake(self.key(), usize::MAX);
    }

    /// Waits until a sleeper has gone on since the note, or until `deadline`. `wait` is that of [`Table::sleep`].
    pub(crate) fn await_next(
        &self,
        table: &Table,
        noted: u32,
        deadline: Option<Instant>,
        mut wait: impl FnMut(&Waiter, Reason, Option<Instant>) -> Outcome,
    ) {
        // SeqCst: the sleeper's look at the word.
        let stay = || self.0.load(Ordering::SeqCst) == noted;
        // The sleeper of an earlier wake-up may wake the caller as late as now.
        while table.sleep(self.key(), deadline, stay, || (), &mut wait) == Some(Outcome::Notified) {}
    }

    fn key(&self) -> Key {
        Key::new(std::ptr::from_ref(&self.0).addr(), u32::MAX)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of sleepers that are overtaken and those who wake them: nobody sleeps for ever, and who waits for a sleeper goes on after it.

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::park::primitive as park;

    const KEY: Key = Key::new(64, u32::MAX);

    struct World {
        table: Table,
        gone_on: GoneOn,
        word: AtomicU32,
    }

    impl World {
        /// As one who wants a lock. Returns whether it has slept.
        fn sleep(&self) -> bool {
            let key = Key { is_overtaken: true, ..KEY };
            let stay = || self.word.load(Ordering::SeqCst) == 0;
            let has_slept = self.table.sleep(key, None, stay, || (), park::wait).is_some();
            if has_slept {
                self.gone_on.go_on(&self.table);
            }
            has_slept
        }

        /// As one who has released it. Returns whether it has found a sleeper.
        fn wake(&self) -> bool {
            let noted = self.gone_on.note();
            let found = self.table.wake(KEY, 1);
            if found.is_overtaken {
                self.gone_on.await_next(&self.table, noted, None, park::wait);
                assert_ne!(self.gone_on.note(), noted, "the sleeper has gone on before");
            }
            found.is_overtaken
        }
    }

    fn check(sleepers: usize, wakers: usize, preemptions: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(move || {
            let (table, gone_on) = (Table::new(), GoneOn::new());
            let world = Arc::new(World { table, gone_on, word: AtomicU32::new(0) });
            let sleepers: Vec<_> = (0..sleepers)
                .map(|_| {
                    let world = world.clone();
                    thread::spawn(move || world.sleep())
                })
                .collect();
            world.word.store(1, Ordering::Release);
            let others: Vec<_> = (1..wakers)
                .map(|_| {
                    let world = world.clone();
                    thread::spawn(move || world.wake())
                })
                .collect();
            let mut found = usize::from(world.wake());
            found += others.into_iter().map(|other| usize::from(other.join().unwrap())).sum::<usize>();
            // Of sleepers that nobody has found, one wakes the next.
            while found < sleepers.len() && world.wake() {
                found += 1;
            }
            let slept = sleepers.into_iter().map(|it| usize::from(it.join().unwrap())).sum::<usize>();
            assert_eq!(slept, found);
        });
    }

    #[test]
    fn who_wakes_an_overtaken_sleeper_goes_on_after_it() {
        check(1, 1, 3);
    }

    #[test]
    fn two_who_wake_wait_for_the_sleepers_that_they_have_found() {
        check(1, 2, 2);
    }

    #[test]
    fn one_who_wakes_two_waits_for_each() {
        check(2, 1, 2);
    }
}
