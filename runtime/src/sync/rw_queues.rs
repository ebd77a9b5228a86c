//! The queues behind a readers-writer lock; whose turn it is, and when, is `raw_rw_lock`'s to say.

use crate::park::primitive::Woken;
use crate::park::wait_list::WaitList;

/// What a waiter is given when its wait ends: `true` if the lock is already its own. Always so for a reader, unless there
/// are too many.
pub(super) type Granted = bool;

/// Who waits for the lock, each kind in the order in which it came.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) readers: WaitList<Granted>,
    pub(super) writers: WaitList<Granted>,
    /// The writers that have lost for too long: they came before those in `writers`.
    pub(super) impatient: WaitList<Granted>,
}

impl Queues {
    pub(super) const fn new() -> Self {
        Self { readers: WaitList::new(), writers: WaitList::new(), impatient: WaitList::new() }
    }

    pub(super) fn readers(&mut self) -> &mut WaitList<Granted> {
        &mut self.readers
    }

    pub(super) fn writers(&mut self) -> &mut WaitList<Granted> {
        &mut self.writers
    }

    pub(super) fn impatient(&mut self) -> &mut WaitList<Granted> {
        &mut self.impatient
    }

    pub(super) fn no_writer_waits(&self) -> bool {
        self.writers.is_empty() && self.impatient.is_empty()
    }

    /// Claims the first writer that still waits, an impatient one if there is any, and tells it that the lock is its own.
    pub(super) fn grant_to_a_writer(&mut self) -> Option<Woken> {
        let granted = &mut true;
        let impatient = self.impatient.pop_front_exchanging(granted);
        impatient.or_else(|| self.writers.pop_front_exchanging(granted))
    }
}
