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
        // Relaxed, here and below: the channel's lock orders what the last one does after what the others sent.
        self.senders.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Removes a receiver from the count. Returns whether it was the last.
    pub(super) fn remove_receiver(&self) -> bool {
        self.receivers.fetch_sub(1, Ordering::Relaxed) == 1
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
