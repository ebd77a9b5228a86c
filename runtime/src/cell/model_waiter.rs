//! A waiter for loom's models of the protocols in this folder: the same exactly-once claim, over loom's threads.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, Thread};

use super::{Claim, Outcome};

const WAITING: u32 = u32::MAX;

pub(super) struct ModelWaiter {
    state: AtomicU32,
    thread: Thread,
    /// Touched by every claim and by `end`: loom reports a claim that is not ordered before the waiter's end.
    alive: UnsafeCell<()>,
}

/// The wake-up of a claim.
pub(super) struct ModelWakeup(Thread);

impl ModelWakeup {
    pub(super) fn wake(self) {
        self.0.unpark();
    }
}

impl Claim for ModelWaiter {
    type Wakeup = ModelWakeup;

    fn claim_notified(&self) -> Option<ModelWakeup> {
        self.alive.with(|_| ());
        let thread = self.thread.clone();
        self.claim(Outcome::Notified).then_some(ModelWakeup(thread))
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

    /// Waits with a deadline that may pass at any moment.
    pub(super) fn park_or_give_up(&self) -> Outcome {
        thread::yield_now();
        if self.claim(Outcome::TimedOut) { Outcome::TimedOut } else { Outcome::Notified }
    }

    /// Ends the waiter, as when its owner returns: nothing may use it afterwards.
    pub(super) fn end(&self) {
        self.alive.with_mut(|_| ());
    }
}
