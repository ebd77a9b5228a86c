//! Handoffs: in a channel of capacity 0, a receiver and a *selecting* sender have met, both are committed, and the sender
//! is still making its message.
//!
//! A receiver takes the first message that is delivered, from any sender: each sender that still has to deliver is
//! matched by one receiver. A sender that unwinds instead abandons the handoff, and one receiver is told.

use std::collections::VecDeque;
use std::mem;

use super::state::Packet;
use crate::park::primitive::Wakeup;
use crate::park::wait_list::WaitList;

/// See the module's documentation.
pub(super) struct Handoffs<T> {
    /// Messages that were delivered before their receivers came to wait.
    delivered: VecDeque<T>,
    /// Handoffs that were abandoned before their receivers came to wait.
    abandoned: usize,
    /// Receivers that wait for their message, each with an empty packet.
    receivers: WaitList<Packet<T>>,
}

/// The state of a receiver's handoff.
pub(super) enum Handoff<T> {
    Delivered(T),
    Abandoned,
    /// Neither yet.
    Pending,
}

impl<T> Handoffs<T> {
    pub(super) const fn new() -> Self {
        Self { delivered: VecDeque::new(), abandoned: 0, receivers: WaitList::new() }
    }

    /// A sender delivers its message, which is in `packet`. The caller wakes the receiver.
    pub(super) fn deliver(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        let wakeup = self.receivers.pop_front_exchanging(packet);
        if wakeup.is_none()
            && let Packet::Message(message) = mem::replace(packet, Packet::Empty)
        {
            self.delivered.push_back(message);
        }
        wakeup
    }

    /// A sender will never deliver its message. The caller wakes the receiver, which finds its packet empty.
    pub(super) fn abandon_one(&mut self) -> Option<Wakeup> {
        let wakeup = self.receivers.pop_front();
        if wakeup.is_none() {
            self.abandoned += 1;
        }
        wakeup
    }

    /// The state of one receiver's handoff. Each message and each abandonment is returned once.
    pub(super) fn take(&mut self) -> Handoff<T> {
        match self.delivered.pop_front() {
            Some(message) => Handoff::Delivered(message),
            None if self.abandoned > 0 => {
                self.abandoned -= 1;
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
