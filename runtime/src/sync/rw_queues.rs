//! The queues behind a readers-writer lock. `raw_rw_lock` decides who is next, and when.

use crate::park::primitive::Wakeup;
use crate::park::wait_list::WaitList;

/// The result that a waiter is given when its wait ends: `true` if it already holds the lock. Always `true` for a reader,
/// unless there are too many readers.
pub(super) type Granted = bool;

/// The waiters, each kind in the order in which they came.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) readers: WaitList<Granted>,
    pub(super) writers: WaitList<Granted>,
    /// The writers that have lost for too long. They came before those in `writers`.
    pub(super) starving: WaitList<Granted>,
}

impl Queues {
    pub(super) const fn new() -> Self {
        Self { readers: WaitList::new(), writers: WaitList::new(), starving: WaitList::new() }
    }

    pub(super) fn readers(&mut self) -> &mut WaitList<Granted> {
        &mut self.readers
    }

    pub(super) fn writers(&mut self) -> &mut WaitList<Granted> {
        &mut self.writers
    }

    pub(super) fn starving(&mut self) -> &mut WaitList<Granted> {
        &mut self.starving
    }

    pub(super) fn has_no_writer(&self) -> bool {
        self.writers.is_empty() && self.starving.is_empty()
    }

    /// Claims the first writer that still waits, a starving one if there is any, and tells it that it holds the lock.
    pub(super) fn grant_to_writer(&mut self) -> Option<Wakeup> {
        let granted = &mut true;
        let starving = self.starving.pop_front_exchanging(granted);
        starving.or_else(|| self.writers.pop_front_exchanging(granted))
    }
}
