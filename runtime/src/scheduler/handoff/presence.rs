//! Whether the thread of a worker is inside of the runtime's code, and whether the worker was taken from it meanwhile.
//!
//! A taker is the monitor, or a thread whose own worker has nothing to run. There is one at a time: they hold the lock of `Spares`.
//!
//! | thread | taker |
//! |---|---|
//! | 1. writes that it is inside | 1. writes its wish |
//! | 2. light fence | 2. heavy fence |
//! | 3. reads the wish | 3. reads whether the thread is inside |
//!
//! One of the fences comes first. So if the thread sees no wish, the taker sees that it is inside, and withdraws. If the thread
//! sees the wish, both try to change that one word, and one of them succeeds: the thread refuses, or the taker takes. A second
//! taker could take the first one's wish, which the thread has refused since, for its own: hence the lock.
//!
//! `model.rs` checks this with loom.

use crate::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::os::barrier;

/// Nobody wants the worker.
const NONE: u8 = 0;
/// A taker wants the worker, and has not yet seen whether the thread is inside.
const ASKED: u8 = 1;
/// The worker is another thread's.
const TAKEN: u8 = 2;
/// Nobody wants the worker, but the monitor wants to know when the thread enters; see `quiet.rs`.
const WATCHED: u8 = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Presence {
    is_inside: AtomicBool,
    wish: AtomicU8,
}

impl Presence {
    /// The presence of a thread that is inside, as hubs are.
    pub(super) fn new() -> Self {
        Self { is_inside: AtomicBool::new(true), wish: AtomicU8::new(NONE) }
    }

    /// Whether the thread is inside. On the thread itself.
    #[inline(always)]
    pub(super) fn is_inside(&self) -> bool {
        // Relaxed: only this thread writes it.
        self.is_inside.load(Ordering::Relaxed)
    }

    /// Enters the runtime. Returns false if the worker has been taken: then the thread is not inside. Calls `notice` if it is watched.
    #[inline(always)]
    pub(super) fn enter(&self, notice: impl FnOnce()) -> bool {
        // Relaxed: the fence orders it before the load.
        self.is_inside.store(true, Ordering::Relaxed);
        barrier::light();
        self.wish.load(Ordering::Relaxed) == NONE || self.refuse(notice)
    }

    #[cold]
    fn refuse(&self, notice: impl FnOnce()) -> bool {
        // Relaxed on success: what the taker did before it asked is nothing to this thread. Acquire on failure: a taken
        // worker's next thread has found the worker as this thread left it, and nothing is read from it here.
        match self.wish.compare_exchange(ASKED, NONE, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) | Err(NONE) => true,
            Err(WATCHED) => {
                self.unwatch();
                notice();
                true
            }
            Err(_) => {
                self.is_inside.store(false, Ordering::Relaxed);
                false
            }
        }
    }

    /// Leaves the runtime.
    #[inline(always)]
    pub(super) fn leave(&self) {
        // Release: pairs with the Acquire in `take`, whose caller finds the worker as this thread has left it.
        self.is_inside.store(false, Ordering::Release);
    }

    /// Takes the worker from the thread, unless the thread is inside, has lost its worker already, or `may_go` says no. While
    /// nobody else calls it.
    ///
    /// `may_go` is called while the thread is outside, and what it says holds until the thread has entered again.
    pub(super) fn take(&self, may_go: impl FnOnce() -> bool) -> bool {
        // Acquire: pairs with the Release in `renew`: a thread that has got another worker is inside.
        if self.wish.compare_exchange(NONE, ASKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        barrier::heavy();
        // Acquire: pairs with the Release in `leave`.
        let is_free = !self.is_inside.load(Ordering::Acquire) && may_go();
        let to = if is_free { TAKEN } else { NONE };
        // Release: pairs with the Acquire in `refuse`. A failure means that the thread has refused.
        self.wish.compare_exchange(ASKED, to, Ordering::Release, Ordering::Relaxed).is_ok() && is_free
    }

    /// Lets the thread give notice when it next enters. Returns false if that cannot be. From the monitor, under the lock.
    pub(super) fn watch(&self) -> bool {
        // Relaxed: the fence that follows orders it.
        self.wish.compare_exchange(NONE, WATCHED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether the thread, which is watched, has not entered since. From the monitor, after a heavy fence that came after
    /// [`watch`](Self::watch): then the thread gives notice when it enters, and what it has left behind is seen.
    pub(super) fn stays_outside(&self) -> bool {
        // Acquire: pairs with the Release in `leave`.
        !self.is_inside.load(Ordering::Acquire) && self.wish.load(Ordering::Relaxed) == WATCHED
    }

    /// Undoes [`watch`](Self::watch), if the thread has not.
    pub(super) fn unwatch(&self) {
        // Relaxed: the word carries nothing but itself.
        let _ = self.wish.compare_exchange(WATCHED, NONE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Makes the thread one that may be given a worker again. On the thread itself, which has lost its worker and is in its hub.
    pub(super) fn renew(&self) {
        self.is_inside.store(true, Ordering::Relaxed);
        // Release: pairs with the Acquire in `take`.
        self.wish.store(NONE, Ordering::Release);
    }
}
