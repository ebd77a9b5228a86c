//! Messages that are owed: a receiver and a *selecting* sender have met in a channel of capacity 0, both are committed,
//! and the sender is still making its message.
//!
//! Whoever is owed a message takes the first one that arrives; it does not matter who brings it, for every sender that
//! owes one is matched by one receiver. A sender that never brings it (it unwinds) breaks its promise, and one receiver
//! is told.

use std::collections::VecDeque;
use std::mem;

use super::meeting::Parcel;
use crate::park::primitive::Woken;
use crate::park::wait_list::WaitList;

/// See the module's documentation.
pub(super) struct Owed<T> {
    /// Messages that came before their receivers.
    arrived: VecDeque<T>,
    /// Promises that were broken before a receiver came to wait.
    broken: usize,
    /// Who waits for what it is owed, each with an empty parcel.
    receivers: WaitList<Parcel<T>>,
}

/// What has become of a promise.
pub(super) enum Promise<T> {
    Kept(T),
    Broken,
    /// Nothing yet.
    Open,
}

impl<T> Owed<T> {
    pub(super) const fn new() -> Self {
        Self { arrived: VecDeque::new(), broken: 0, receivers: WaitList::new() }
    }

    /// A sender brings its message, in `parcel`. The caller wakes the receiver.
    pub(super) fn arrive(&mut self, parcel: &mut Parcel<T>) -> Option<Woken> {
        let woken = self.receivers.pop_front_exchanging(parcel);
        if woken.is_none()
            && let Parcel::Message(message) = mem::replace(parcel, Parcel::Empty)
        {
            self.arrived.push_back(message);
        }
        woken
    }

    /// A sender will never bring its message. The caller wakes the receiver, who finds its parcel empty.
    pub(super) fn break_one(&mut self) -> Option<Woken> {
        let woken = self.receivers.pop_front();
        if woken.is_none() {
            self.broken += 1;
        }
        woken
    }

    /// What one receiver is owed. Neither a kept nor a broken promise is found twice.
    pub(super) fn collect(&mut self) -> Promise<T> {
        match self.arrived.pop_front() {
            Some(message) => Promise::Kept(message),
            None if self.broken > 0 => {
                self.broken -= 1;
                Promise::Broken
            }
            None => Promise::Open,
        }
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn receivers(&mut self) -> &mut WaitList<Parcel<T>> {
        &mut self.receivers
    }
}
