//! A waiter for loom's models of the protocols in this folder: the same exactly-once claim, over loom's threads.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, Thread};

use super::{Claim, Outcome};

const WAITING: u32 = u32::MAX;

pub(super) struct ModelWaiter {
    state: AtomicU32,
    thread: Thread,
    /// Touched by every claim and by `gone`: loom reports a claim that is not ordered before the waiter's end.
    alive: UnsafeCell<()>,
}

/// The wake-up that a claim owes.
pub(super) struct ModelWoken(Thread);

impl ModelWoken {
    pub(super) fn wake(self) {
        self.0.unpark();
    }
}

impl Claim for ModelWaiter {
    type Woken = ModelWoken;

    fn claim_notified(&self) -> Option<ModelWoken> {
        self.alive.with(|_| ());
        let thread = self.thread.clone();
        self.claim(Outcome::Notified).then_some(ModelWoken(thread))
    }
}

impl ModelWaiter {
    pub(super) fn new() -> Self {
        Self { state: AtomicU32::new(WAITING), thread: thread::current(), alive: UnsafeCell::new(()) }
    }

    fn claim(&self, outcome: Outcome) -> bool {
        let exchanged =
            self.state.compare_exchange(WAITING, outcome as u32, Ordering::AcqRel, Ordering::Acquire);
        exchanged.is_ok()
    }

    /// Waits for the claim.
    pub(super) fn park(&self) -> Outcome {
        while self.state.load(Ordering::Acquire) == WAITING {
            thread::park();
        }
        Outcome::Notified
    }

    /// A deadline that may pass at any moment.
    pub(super) fn park_or_give_up(&self) -> Outcome {
        thread::yield_now();
        if self.claim(Outcome::TimedOut) { Outcome::TimedOut } else { Outcome::Notified }
    }

    /// The owner returns from here on: nobody may use the waiter any more.
    pub(super) fn gone(&self) {
        self.alive.with_mut(|_| ());
    }
}
