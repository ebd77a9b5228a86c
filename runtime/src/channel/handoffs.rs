//! Messages that are handoffs: a receiver and a *selecting* sender have met in a channel of capacity 0, both are committed,
//! and the sender is still making its message.
//!
//! Whoever is owed a message takes the first one that arrives; it does not matter who brings it, for every sender that
//! owes one is matched by one receiver. A sender that never brings it (it unwinds) breaks its promise, and one receiver
//! is told.

use std::collections::VecDeque;
use std::mem;

use super::state::Packet;
use crate::park::primitive::Wakeup;
use crate::park::wait_list::WaitList;

/// See the module's documentation.
pub(super) struct Handoffs<T> {
    /// Messages that came before their receivers.
    arrived: VecDeque<T>,
    /// Promises that were broken before a receiver came to wait.
    broken: usize,
    /// Who waits for what it is owed, each with an empty packet.
    receivers: WaitList<Packet<T>>,
}

/// What has become of a promise.
pub(super) enum Handoff<T> {
    Arrived(T),
    Abandoned,
    /// Nothing yet.
    Pending,
}

impl<T> Handoffs<T> {
    pub(super) const fn new() -> Self {
        Self { arrived: VecDeque::new(), broken: 0, receivers: WaitList::new() }
    }

    /// A sender brings its message, in `packet`. The caller wakes the receiver.
    pub(super) fn arrive(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        let woken = self.receivers.pop_front_exchanging(packet);
        if woken.is_none()
            && let Packet::Message(message) = mem::replace(packet, Packet::Empty)
        {
            self.arrived.push_back(message);
        }
        woken
    }

    /// A sender will never bring its message. The caller wakes the receiver, who finds its packet empty.
    pub(super) fn abandon_one(&mut self) -> Option<Wakeup> {
        let woken = self.receivers.pop_front();
        if woken.is_none() {
            self.broken += 1;
        }
        woken
    }

    /// What one receiver is owed. Neither a kept nor a broken promise is found twice.
    pub(super) fn collect(&mut self) -> Handoff<T> {
        match self.arrived.pop_front() {
            Some(message) => Handoff::Arrived(message),
            None if self.broken > 0 => {
                self.broken -= 1;
                Handoff::Abandoned
            }
            None => Handoff::Pending,
        }
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn receivers(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.receivers
    }
}
