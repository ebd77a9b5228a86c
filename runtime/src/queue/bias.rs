//! A lock's bias: while one thread alone uses the lock, that thread takes it without a locked instruction.
//!
//! A locked instruction takes as long as some ten others, and a channel whose fibers all live on one worker pays it for nothing. So a
//! lock that one thread has taken [`AFTER`] times in a row becomes that thread's, its *owner's*. The owner does not touch the word
//! of the lock then: it sets `busy`, looks whether the lock is still its own, and clears `busy` when it is done.
//!
//! The first other thread that takes the lock **revokes** the bias, for good: it takes the word of the lock as everybody does, sets
//! the mode to `SHARED`, and waits until the owner is not busy.
//!
//! | | owner | other thread, which has the word of the lock |
//! |---|---|---|
//! | 1 | `busy = true` | `mode = SHARED` |
//! | 2 | light barrier | heavy barrier (`os/barrier.rs`) |
//! | 3 | is the mode still `BIASED`? Else `busy = false`, and the lock is taken by its word | waits while `busy` |
//!
//! By the barriers at least one of the two sees what the other wrote in step 1: so the owner goes in only if the other thread waits
//! for it. Whoever takes the word sees in it the mode that its last holder left; the mode becomes `BIASED` only under the word, and
//! by the new owner.
//!
//! A heavy barrier takes as long as some hundred locked instructions, once for each lock, so it is paid only for locks that have saved
//! it; and a lock that changes hands [`CHANGES`] times before that is shared for good, so that nothing is counted for it any more.
//!
//! Rejected: a bias that comes back (two threads that take turns would pay for it again and again); a bias by fiber (many fibers
//! of one worker use a channel); a bias that is held across a wait, as a mutex's would be (its owner must be asked to let go).

use crate::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Backoff, CLOSE_BY, Ordering, const_fn};
use crate::os::{barrier, thread_key};

/// After so many times in a row the lock is the thread's that took it.
const AFTER: u32 = if cfg!(loom) { 1 } else { 1024 };

/// The threads of a lock change so often before it is given up. The one that makes a channel is seldom the one that uses it.
const CHANGES: u8 = 4;

/// The uses of the lock are counted.
const LEARNING: u8 = 0;
/// The lock is its owner's.
const BIASED: u8 = 1;
/// The lock is nobody's, for good.
const SHARED: u8 = 2;

/// No thread's key.
const NOBODY: usize = usize::MAX;

/// Whether a lock may have a bias; see the module's documentation.
pub(crate) trait Biasing {
    /// How a holder holds the lock.
    type Held: Copy;

    /// By its word.
    const BY_WORD: Self::Held;

    /// Called when the word has been taken, before anything is done with what it guards. Returns false if the calling thread holds the
    /// lock already, by its bias: then it must give the word back.
    #[must_use]
    fn settle(&self) -> bool;

    /// Releases the lock, which the caller holds in this way.
    fn release(&self, word: &AtomicBool, held: Self::Held);
}

/// The lock is always taken by its word.
pub(crate) struct Unbiased;

impl Biasing for Unbiased {
    type Held = ();
    const BY_WORD: () = ();

    #[inline(always)]
    fn settle(&self) -> bool {
        true
    }

    #[inline(always)]
    fn release(&self, word: &AtomicBool, (): ()) {
        // Release: pairs with the Acquire in `try_lock`.
        word.store(false, Ordering::Release);
    }
}

/// See the module's documentation.
pub(crate) struct Bias {
    /// Whether the owner has the lock, or is about to look whether it is still its own. Written by the owner alone.
    busy: AtomicBool,
    /// Written under the word of the lock.
    mode: AtomicU8,
    /// How often the candidate changed. Under the word of the lock, as the next two.
    changes: AtomicU8,
    /// How often the candidate took the lock in a row.
    times: AtomicU32,
    /// The thread that took the lock last, while uses are counted.
    candidate: AtomicUsize,
    /// The owner, or `NOBODY`.
    owner: AtomicUsize,
}

impl Bias {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                busy: AtomicBool::new(false),
                mode: AtomicU8::new(if thread_key::IS_KNOWN { LEARNING } else { SHARED }),
                changes: AtomicU8::new(0),
                times: AtomicU32::new(0),
                candidate: AtomicUsize::new(NOBODY),
                owner: AtomicUsize::new(NOBODY),
            }
        }
    }

    /// Takes the lock if it is the calling thread's, and `word`, the lock's, is free: this thread may have taken that.
    #[inline(always)]
    pub(super) fn enter(&self, word: &AtomicBool) -> bool {
        // Relaxed: only this thread makes itself the owner.
        if self.owner.load(Ordering::Relaxed) != thread_key::get() {
            return false;
        }
        // Relaxed, here and below: ordered by the barrier, whose partner is in `revoke`. What the lock guards was last used by this
        // thread, since it took the lock in this way or made it its own; or by one that has ended, whose number this thread got with the
        // memory of its storage, behind a lock of libc's or of a pool of blocks.
        if self.busy.load(Ordering::Relaxed) || word.load(Ordering::Relaxed) {
            return false;
        }
        self.busy.store(true, Ordering::Relaxed);
        barrier::light();
        let is_mine = self.mode.load(Ordering::Relaxed) == BIASED;
        if !is_mine {
            // Release: `revoke` may see this false and not the one before it, which told of what the owner wrote.
            self.busy.store(false, Ordering::Release);
        }
        is_mine
    }

    #[cold]
    #[inline(never)]
    fn settle_slow(&self) -> bool {
        let me = thread_key::get();
        // Relaxed, here and below: under the word of the lock.
        if self.mode.load(Ordering::Relaxed) == LEARNING {
            self.learn(me);
        } else if self.owner.load(Ordering::Relaxed) != me {
            self.revoke();
        } else {
            return !self.busy.load(Ordering::Relaxed);
        }
        true
    }

    fn learn(&self, me: usize) {
        if self.candidate.load(Ordering::Relaxed) != me {
            self.candidate.store(me, Ordering::Relaxed);
            self.times.store(0, Ordering::Relaxed);
            let changes = self.changes.load(Ordering::Relaxed) + 1;
            self.changes.store(changes, Ordering::Relaxed);
            if changes > CHANGES {
                self.mode.store(SHARED, Ordering::Relaxed);
            }
            return;
        }
        let times = self.times.load(Ordering::Relaxed);
        match barrier::is_possible() {
            Some(true) => {
                self.owner.store(me, Ordering::Relaxed);
                self.mode.store(BIASED, Ordering::Relaxed);
            }
            Some(false) => self.mode.store(SHARED, Ordering::Relaxed),
            // The monitor may find out; then again it may sleep.
            None if times > 8 * AFTER => self.mode.store(SHARED, Ordering::Relaxed),
            None => {}
        }
    }

    fn revoke(&self) {
        self.mode.store(SHARED, Ordering::Relaxed);
        barrier::heavy();
        let mut backoff = Backoff::new(CLOSE_BY);
        // Acquire: pairs with the Release in `release`, so that what the owner wrote is seen.
        while self.busy.load(Ordering::Acquire) {
            backoff.pause();
        }
        self.owner.store(NOBODY, Ordering::Relaxed);
    }
}

/// Whether a lock is held by its bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByBias(pub(super) bool);

impl Biasing for Bias {
    type Held = ByBias;
    const BY_WORD: ByBias = ByBias(false);

    #[inline(always)]
    fn settle(&self) -> bool {
        // Relaxed, here and below: under the word of the lock.
        let mode = self.mode.load(Ordering::Relaxed);
        if mode == SHARED {
            return true;
        }
        // Most locks are seldom taken, and always while they are counted.
        if mode == LEARNING && self.candidate.load(Ordering::Relaxed) == thread_key::get() {
            let times = self.times.load(Ordering::Relaxed) + 1;
            self.times.store(times, Ordering::Relaxed);
            if times < AFTER {
                return true;
            }
        }
        self.settle_slow()
    }

    #[inline(always)]
    fn release(&self, word: &AtomicBool, ByBias(is_by_bias): ByBias) {
        let held = if is_by_bias { &self.busy } else { word };
        // Release: pairs with the Acquire in `try_lock` or in `revoke`.
        held.store(false, Ordering::Release);
    }
}
