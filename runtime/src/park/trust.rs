//! Whether somebody waits on a kept answer, which may be wrong: then it is asked for again from time to time.
//!
//! Each answer is of an epoch. Who is about to change what it is about raises the epoch, and then asks: if the answers of the epochs before
//! are right at that moment, those who wait on them need trust them no more, as what changes afterwards does not concern a wait that has begun.
//! Who begins to trust notes of which epoch, and looks at the epoch afterwards. So either that sees the change, and asks, or who
//! changes has asked after that wait began. Each has a store before a load, and a fence between.
//!
//! Who notes that it trusts, and then sees the change, does not wait on the answer. What it has noted is of an epoch that is settled,
//! and so tells nothing of the waits before it.

use std::sync::atomic::compiler_fence;

use crate::atomic::{AtomicU64, Ordering, fence};

/// See the module's documentation. Epochs begin at 1.
#[repr(C)]
pub(crate) struct Trust {
    /// The latest epoch of whose answer somebody has begun to wait; 0 if nobody has.
    noted: AtomicU64,
    /// Answers of the epochs below this are trusted by nobody any more.
    settled: AtomicU64,
}

impl Trust {
    pub(crate) fn new() -> Self {
        Self { noted: AtomicU64::new(0), settled: AtomicU64::new(1) }
    }

    /// Begins to trust an answer of this epoch; false if it is not of now.
    #[inline]
    pub(crate) fn begin(&self, of: u64, epoch: &AtomicU64) -> bool {
        // Acquire: pairs with the Release of who has raised it.
        if epoch.load(Ordering::Acquire) != of {
            return false;
        }
        // Acquire: what was noted before is seen by who changes, if the epoch is still the old one below.
        if self.noted.load(Ordering::Acquire) < of {
            // The latest: one that comes late must not hide another.
            self.noted.fetch_max(of, Ordering::SeqCst);
        }
        // Pairs with the one in `settle`. On x86_64 the exchange above is a full fence of the processor's itself; without it there are only loads
        // here, which such a processor keeps in order, and what one of them has seen is everybody's.
        if cfg!(any(loom, not(target_arch = "x86_64"))) {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence(Ordering::SeqCst);
        }
        epoch.load(Ordering::Relaxed) == of
    }

    /// Notes that the answers of the epochs below `now` have been right so far, if `is_right` says so. Before a change the epoch is raised
    /// to `now` first (SeqCst).
    pub(crate) fn settle(&self, now: u64, is_right: impl FnOnce() -> bool) {
        // Pairs with the one in `begin`.
        fence(Ordering::SeqCst);
        if is_right() {
            self.settled.fetch_max(now, Ordering::SeqCst);
        }
    }

    /// [`settle`](Self::settle), where it is needless to ask for an answer that nobody trusts.
    pub(crate) fn settle_if_noted(&self, now: u64, is_right: impl FnOnce() -> bool) {
        fence(Ordering::SeqCst);
        if self.noted.load(Ordering::SeqCst) >= self.settled.load(Ordering::SeqCst) {
            self.settle(now, is_right);
        }
    }

    /// Whether somebody has trusted an answer that was neither settled since, nor taken. The epoch has been raised before, so nobody
    /// begins to trust one that this takes.
    pub(crate) fn take(&self) -> bool {
        let noted = self.noted.load(Ordering::SeqCst);
        noted >= self.settled.load(Ordering::SeqCst)
            && self.settled.fetch_max(noted + 1, Ordering::SeqCst) <= noted
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn trust_is_there_until_it_is_settled_or_taken() {
        let (trust, epoch) = (Trust::new(), AtomicU64::new(1));
        assert!(!trust.begin(0, &epoch) && !trust.take());
        trust.settle_if_noted(2, || panic!("nobody trusts it"));
        for settles in [false, true] {
            let of = epoch.load(Ordering::SeqCst);
            assert!(!trust.begin(of - 1, &epoch) && trust.begin(of, &epoch));
            epoch.store(of + 1, Ordering::SeqCst);
            trust.settle_if_noted(of + 1, || settles);
            assert_eq!((trust.take(), trust.take()), (!settles, false), "a wrong answer is taken once");
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of waits that begin on a kept answer, and a change of what it is about: a wait that has begun before
    //! the change is taken by no later look for one whose answer was wrong; also if another has come too late to begin.

    use loom::sync::atomic::AtomicBool as Truth;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::*;

    struct Asked {
        trust: Trust,
        epoch: AtomicU64,
        /// What a system call reads and writes: as if under a lock.
        is_changed: Mutex<bool>,
        waits: Truth,
    }

    impl Asked {
        fn begin_to_wait(&self) {
            if self.trust.begin(1, &self.epoch) {
                return self.waits.store(true, Ordering::SeqCst);
            }
            let now = self.epoch.load(Ordering::Acquire);
            if !*self.is_changed.lock().unwrap() {
                self.trust.settle(now, || true);
                self.waits.store(true, Ordering::SeqCst);
            }
        }
    }

    fn check(waiters: usize) {
        loom::model(move || {
            let asked = Arc::new(Asked {
                trust: Trust::new(),
                epoch: AtomicU64::new(1),
                is_changed: Mutex::new(false),
                waits: Truth::new(false),
            });
            let waiters: Vec<_> = (0..waiters)
                .map(|_| {
                    let asked = asked.clone();
                    thread::spawn(move || asked.begin_to_wait())
                })
                .collect();
            let now = asked.epoch.fetch_add(1, Ordering::SeqCst) + 1;
            asked.trust.settle(now, || !*asked.is_changed.lock().unwrap());
            *asked.is_changed.lock().unwrap() = true;
            asked.epoch.fetch_add(1, Ordering::SeqCst);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            let would_end = asked.trust.take() && *asked.is_changed.lock().unwrap();
            assert!(!(asked.waits.load(Ordering::SeqCst) && would_end));
        });
    }

    #[test]
    fn a_wait_that_begins_on_an_answer_is_settled_by_who_changes_it() {
        check(1);
    }

    #[test]
    fn one_that_comes_too_late_tells_nothing_of_a_wait_that_has_begun() {
        check(2);
    }
}
