//! A lock for a few system calls: who finds it taken sleeps in a table of sleepers, at the lock's address.
//!
//! Who leaves stores 0, and wakes one of those who sleep there. A sleeper has looked at the word under the table's lock after it could be
//! seen there, so it is woken, or has seen the 0. The woken try again: somebody else may have been faster.

use std::time::Instant;

use super::by_address::Table;
use super::key::Key;
use super::primitive::Waiter;
use crate::atomic::{AtomicU32, Ordering, const_fn};
use crate::cell::{Outcome, Reason};

/// See the module's documentation.
pub(crate) struct Turn(AtomicU32);

impl Turn {
    const_fn! {
        /// A turn that nobody has.
        pub(crate) const fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Calls `f` while nobody else is in this function. `None` if the caller was cancelled before; `wait` is that of [`Table::sleep`].
    pub(crate) fn pass<R>(
        &self,
        table: &Table,
        mut wait: impl FnMut(&Waiter, Reason, Option<Instant>) -> Outcome,
        f: impl FnOnce() -> R,
    ) -> Option<R> {
        let key = Key::new(std::ptr::from_ref(&self.0).addr(), u32::MAX);
        // AcqRel: pairs with the one below.
        while self.0.swap(1, Ordering::AcqRel) != 0 {
            // SeqCst: the sleeper's look at the word.
            let stay = || self.0.load(Ordering::SeqCst) != 0;
            if table.sleep(key, None, stay, || (), &mut wait) == Some(Outcome::Cancelled) {
                return None;
            }
        }
        let result = f();
        // A store with Release would do. An exchange reads what comes right before it in the word's order. So if others have read 1, one after
        // the other, the store comes after all of them, and who looks at the word after the store sees it. loom does not know that of a store:
        // one of the others may still see what it has left itself, and sleeps for ever (a test below). An exchange reads what they have left.
        self.0.swap(0, Ordering::AcqRel);
        table.wake(key, 1);
        Some(result)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of callers that want the same turn: one at a time is in it, and all get it.

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::park::primitive as park;

    /// A turn, the sleepers, and what only who has the turn touches, which loom checks.
    struct Turned(Turn, Table, UnsafeCell<u32>);

    fn add(turned: &Turned) {
        let passed = turned.0.pass(&turned.1, park::wait, || {
            turned.2.with_mut(|count| {
                // SAFETY: the turn is the caller's alone.
                #[expect(unsafe_code, reason = "loom's cell")]
                unsafe {
                    *count += 1;
                }
            });
        });
        assert!(passed.is_some());
    }

    fn all_get_their_turn(callers: usize, preemptions: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(move || {
            let turned = Arc::new(Turned(Turn::new(), Table::new(), UnsafeCell::new(0)));
            let others: Vec<_> = (1..callers)
                .map(|_| {
                    let turned = turned.clone();
                    thread::spawn(move || add(&turned))
                })
                .collect();
            add(&turned);
            others.into_iter().for_each(|other| other.join().unwrap());
            turned.2.with(|count| {
                #[expect(unsafe_code, reason = "loom's cell")]
                // SAFETY: all others have ended.
                unsafe {
                    assert_eq!(*count, callers as u32);
                }
            });
        });
    }

    /// What the comment on the exchange says of loom. It fails when loom keeps the whole order: then the exchange can be a store.
    #[test]
    #[should_panic(expected = "the store comes after both exchanges")]
    fn loom_forgets_that_a_store_comes_after_the_exchanges_that_have_not_read_it() {
        loom::model(|| {
            let word = Arc::new(loom::sync::atomic::AtomicU32::new(1));
            let [first, store] = [true, false].map(|is_exchange| {
                let word = word.clone();
                thread::spawn(move || {
                    if is_exchange {
                        return word.swap(2, Ordering::AcqRel);
                    }
                    word.store(0, Ordering::Release);
                    0
                })
            });
            let second = word.swap(3, Ordering::AcqRel);
            let first = first.join().unwrap();
            store.join().unwrap();
            if (first, second) == (1, 2) {
                assert_eq!(word.load(Ordering::SeqCst), 0, "the store comes after both exchanges");
            }
        });
    }

    #[test]
    fn two_callers_pass_the_turn_to_each_other() {
        all_get_their_turn(2, 3);
    }

    #[test]
    fn three_callers_pass_the_turn_on() {
        all_get_their_turn(3, 2);
    }
}
