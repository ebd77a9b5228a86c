//! How many ends a channel has. A value of its own, so that a dump can read it without knowing the type of the messages.

use crate::atomic::{AtomicUsize, Ordering};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Ends {
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// How far this is from the start of the channel's `Arc`, whose address each end has.
    offset: usize,
}

impl Ends {
    /// One sender and one receiver, of a channel in an `Arc` that begins so many bytes before this.
    pub(super) fn new(offset: usize) -> Self {
        Self { senders: AtomicUsize::new(1), receivers: AtomicUsize::new(1), offset }
    }

    /// Counts another sender.
    pub(super) fn add_sender(&self) {
        // Relaxed, here and below: the clone is made through an end that is still counted.
        // No overflow: each end also holds an `Arc`, whose count aborts first.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts another receiver.
    pub(super) fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes a sender from the count. Returns whether it was the last.
    pub(super) fn remove_sender(&self) -> bool {
        remove(&self.senders)
    }

    /// Removes a receiver from the count. Returns whether it was the last.
    pub(super) fn remove_receiver(&self) -> bool {
        remove(&self.receivers)
    }

    /// The complement of the word that each end consists of. Not the word itself, which whoever looks for it would find here.
    pub(crate) fn key(&self) -> usize {
        self.key_at(std::ptr::from_ref(self).addr())
    }

    /// [`key`](Self::key) of the ends at this address, of which these are a copy.
    pub(crate) fn key_at(&self, address: usize) -> usize {
        !address.wrapping_sub(self.offset)
    }

    /// The numbers of senders and of receivers.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.senders.load(Ordering::Relaxed), self.receivers.load(Ordering::Relaxed))
    }
}

/// Takes one off the count of a side, on behalf of an end that is dropped. Returns whether it was the last.
fn remove(count: &AtomicUsize) -> bool {
    // Relaxed, here and below: the channel's lock orders what the last one does after what the others sent.
    if count.load(Ordering::Relaxed) == 1 {
        // The dropped end is the only one, since a clone is made from an end that is counted, and whoever has cloned this one has done so
        // before it was dropped. So nobody else changes the count, and no locked operation is needed.
        count.store(0, Ordering::Relaxed);
        return true;
    }
    count.fetch_sub(1, Ordering::Relaxed) == 1
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::thread;

    use super::Ends;

    /// Two senders of which the calling thread's does something meanwhile; says how often one was the last.
    fn last_of_two(meanwhile: impl Fn(&Ends) -> usize + Sync + Send + 'static) {
        loom::model(move || {
            let ends = Arc::new(Ends::new(0));
            ends.add_sender();
            let theirs = Arc::clone(&ends);
            let other = thread::spawn(move || usize::from(theirs.remove_sender()));
            let last = meanwhile(&ends) + usize::from(ends.remove_sender());
            assert_eq!(last + other.join().unwrap(), 1);
            assert_eq!(ends.count(), (0, 1));
        });
    }

    #[test]
    fn one_of_two_ends_that_leave_at_once_is_the_last() {
        last_of_two(|_| 0);
    }

    #[test]
    fn a_clone_that_is_made_while_another_end_leaves_is_counted() {
        last_of_two(|ends| {
            ends.add_sender();
            usize::from(ends.remove_sender())
        });
    }
}
