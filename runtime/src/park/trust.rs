//! Whether somebody waits on a kept answer, which may be wrong: then it is asked for again from time to time.
//!
//! Who is about to change what the answer is about raises the epoch before, and asks for those who trust. If the answer is right at that moment,
//! they need trust it no more: what changes afterwards does not concern a wait that has begun. Who begins to trust looks at the epoch afterwards.
//! So either that sees the change, and asks, or who changes sees the trust. Each has a store before a load, and a fence between. Who
//! has asked, and was told what the answer says, settles as well.

use crate::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// See the module's documentation.
pub(crate) struct Trust(AtomicBool);

impl Trust {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Begins to trust an answer of this epoch; false if it is not of now.
    #[inline]
    pub(crate) fn begin(&self, of: u64, epoch: &AtomicU64) -> bool {
        // Acquire: pairs with the Release of who has raised it.
        if epoch.load(Ordering::Acquire) != of {
            return false;
        }
        self.0.store(true, Ordering::Relaxed);
        // Pairs with the one in `settle`.
        fence(Ordering::SeqCst);
        epoch.load(Ordering::Relaxed) == of
    }

    /// Notes that the answer has been right so far, if `is_right` says so. Before a change the epoch is raised first (SeqCst).
    pub(crate) fn settle(&self, is_right: impl FnOnce() -> bool) {
        // Pairs with the one in `begin`.
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::SeqCst) && is_right() {
            self.0.store(false, Ordering::SeqCst);
        }
    }

    /// Whether somebody has trusted the answer since it was last asked for or settled.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::SeqCst) && self.0.swap(false, Ordering::SeqCst)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a wait that begins on a kept answer, and a change of what it is about: a wait that has begun before
    //! the change is taken by no later look for one whose answer was wrong.

    use loom::sync::atomic::AtomicBool as Truth;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::*;

    #[test]
    fn a_wait_that_begins_on_an_answer_is_settled_by_who_changes_it() {
        loom::model(|| {
            struct Asked {
                trust: Trust,
                epoch: AtomicU64,
                /// What a system call reads and writes: as if under a lock.
                is_changed: Mutex<bool>,
                waits: Truth,
            }
            let asked = Arc::new(Asked {
                trust: Trust::new(),
                epoch: AtomicU64::new(1),
                is_changed: Mutex::new(false),
                waits: Truth::new(false),
            });
            let waiter = thread::spawn({
                let asked = asked.clone();
                move || {
                    if asked.trust.begin(1, &asked.epoch) {
                        asked.waits.store(true, Ordering::SeqCst);
                    } else if !*asked.is_changed.lock().unwrap() {
                        asked.trust.settle(|| true);
                        asked.waits.store(true, Ordering::SeqCst);
                    }
                }
            });
            asked.epoch.fetch_add(1, Ordering::SeqCst);
            asked.trust.settle(|| !*asked.is_changed.lock().unwrap());
            *asked.is_changed.lock().unwrap() = true;
            asked.epoch.fetch_add(1, Ordering::SeqCst);
            waiter.join().unwrap();
            let would_end = asked.trust.take() && *asked.is_changed.lock().unwrap();
            assert!(!(asked.waits.load(Ordering::SeqCst) && would_end));
        });
    }
}
