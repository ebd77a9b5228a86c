//! What all ends of a watch channel share: the value, its version, and who waits for what.

use crate::atomic::{AtomicUsize, Ordering};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

use super::cell::Cell;

/// See the module's documentation.
pub(super) struct Shared<T> {
    pub(super) value: Cell<T>,
    /// Counts the changes. It changes while the value is being written only, so that one who reads the value knows which
    /// version that is.
    version: AtomicUsize,
    waiting: SpinLock<Waiting>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

struct Waiting {
    /// Receivers that wait for a change, or for the last sender to leave.
    receivers: WaitList<()>,
    /// Senders that wait for the last receiver to leave.
    senders: WaitList<()>,
}

impl<T> Shared<T> {
    /// With one sender and no receivers.
    pub(super) fn new(value: T) -> Self {
        Self {
            value: Cell::new(value),
            version: AtomicUsize::new(0),
            waiting: SpinLock::new(Waiting { receivers: WaitList::new(), senders: WaitList::new() }),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
        }
    }

    pub(super) fn version(&self) -> usize {
        // Acquire: pairs with the Release in `change`.
        self.version.load(Ordering::Acquire)
    }

    /// Changes the value, and wakes the receivers if `change` says so.
    pub(super) fn change(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        park::spend(Cost::Wait);
        let mut value = self.value.write();
        let has_changed = change(&mut value);
        if has_changed {
            // Release: pairs with the Acquire in `version`.
            self.version.fetch_add(1, Ordering::Release);
        }
        drop(value);
        if has_changed {
            self.wake_receivers();
        }
        has_changed
    }

    /// Waits for another version than `seen`, and notes it; `false` if all senders are gone. Unwinds when the fiber is
    /// cancelled.
    pub(super) fn wait_changed(&self, seen: &mut usize) -> bool {
        park::spend(Cost::Wait);
        loop {
            let waiting = self.waiting.lock();
            // Looked at under the lock that is taken after each change, to wake.
            let version = self.version();
            if version != *seen {
                *seen = version;
                return true;
            }
            if self.senders() == 0 {
                return false;
            }
            let (outcome, ()) = wait_list::wait(
                waiting,
                |waiting| &mut waiting.receivers,
                End::Back,
                (),
                Reason::Watch,
                None,
                || (),
            );
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
    }

    /// Waits until there are no receivers. Unwinds when the fiber is cancelled.
    pub(super) fn wait_closed(&self) {
        loop {
            let waiting = self.waiting.lock();
            if self.receivers() == 0 {
                return;
            }
            let (outcome, ()) = wait_list::wait(
                waiting,
                |waiting| &mut waiting.senders,
                End::Back,
                (),
                Reason::Watch,
                None,
                || (),
            );
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
    }

    fn wake_receivers(&self) {
        wait_list::wake_up_to(&self.waiting, |waiting| &mut waiting.receivers, usize::MAX);
    }

    pub(super) fn senders(&self) -> usize {
        self.senders.load(Ordering::Acquire)
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers.load(Ordering::Acquire)
    }

    pub(super) fn add_sender(&self) {
        // Relaxed, here and below: the clone is made through an end that is still counted.
        // It does not overflow: each end holds an `Arc` as well, whose count aborts before.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_sender(&self) {
        // Release: pairs with the Acquire in `senders`.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wake_receivers();
        }
    }

    pub(super) fn remove_receiver(&self) {
        // Release: pairs with the Acquire in `receivers`.
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            wait_list::wake_up_to(&self.waiting, |waiting| &mut waiting.senders, usize::MAX);
        }
    }
}
