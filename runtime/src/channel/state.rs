//! What an channel's lock guards: the buffer, and who waits at either end of it.
//!
//! Invariants:
//!
//! 1. If a receiver waits, the buffer is empty.
//! 2. If a sender waits, the buffer is full (a buffer of capacity 0 always is), counting the places that are kept for
//!    selecting senders. A receiver and a sender wait at the same time only if all places are kept, or if both belong to
//!    one `select`.
//!    A message that was put back stands before all others in it, even above its capacity.
//! 3. Once `disconnected` is set nobody joins a list, and all are being emptied.
//!
//! A message is **handed over** through the node of the one that waits: a sender that finds a receiver waiting puts the
//! message into the receiver's node; a receiver that finds a sender waiting takes its message from its node. So one
//! that is woken is done without taking the lock again, and messages stay in order.
//!
//! A **selecting** sender has no message before it has been selected. It waits with a reservation instead, and is selected by
//! getting the right to send one message later: with a buffer, a place is kept for it; without one, it and a receiver
//! are committed to each other, and the receiver is owed the message (`handoffs.rs`).

use std::collections::VecDeque;
use std::mem;

use super::handoffs::Handoffs;
use super::shared::Refusal;
use crate::park::primitive::Wakeup;
use crate::park::wait_list::WaitList;

/// The most messages for which there is room from the start; a larger buffer grows when it is used.
const PREALLOCATED: usize = 1024;

/// What travels with a waiter's node. The two who meet channel theirs.
#[derive(Debug)]
pub(super) enum Packet<T> {
    /// What a receiver waits with, and what a sender is left with.
    Empty,
    Message(T),
    /// A message that is still to be made. A sender that keeps it was not selected.
    Reservation,
}

impl<T> Packet<T> {
    /// The message that is known to be inside.
    pub(super) fn unwrap_message(self) -> T {
        match self {
            Self::Message(message) => message,
            Self::Empty | Self::Reservation => unreachable!("nobody has taken the message"),
        }
    }
}

/// The most places of an empty buffer without a bound that are kept.
const KEPT: usize = 4096;

/// How a selecting sender's try ended.
#[derive(Debug)]
pub(super) enum Reserved {
    /// It may send one message, and must wake the receiver who is owed it.
    Granted(Option<Wakeup>),
    Refused(Refusal),
}

/// See the module's documentation.
pub(super) struct State<T> {
    buffer: VecDeque<T>,
    /// Most messages that the buffer may hold; `usize::MAX` for an unbounded channel.
    limit: usize,
    /// A buffer that is found empty keeps so many places; all of them if it has a bound.
    spacious: usize,
    /// Places of the buffer that are kept for senders that have been selected.
    kept: usize,
    disconnected: bool,
    /// Each with the message it sends, or with a reservation.
    senders: WaitList<Packet<T>>,
    /// Each with an empty packet.
    receivers: WaitList<Packet<T>>,
    /// Who waits for an operation to become ready and does not begin it. Their packets are empty and stay so.
    watchers: WaitList<Packet<T>>,
    /// What only selects need: made by the first one, since most channels see none.
    select_state: Option<Box<SelectState<T>>>,
}

/// Messages that have been selected and are still to be sent or received.
struct SelectState<T> {
    /// Used without a buffer only.
    handoffs: Handoffs<T>,
    /// Messages of receive operations that have been selected and not yet completed.
    aside: VecDeque<T>,
}

impl<T> State<T> {
    /// An empty buffer of at most `capacity` messages (`None`: any number), and nobody there.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            buffer: VecDeque::with_capacity(capacity.unwrap_or(0).min(PREALLOCATED)),
            limit: capacity.unwrap_or(usize::MAX),
            spacious: capacity.map_or(KEPT, |_| usize::MAX),
            kept: 0,
            disconnected: false,
            senders: WaitList::new(),
            receivers: WaitList::new(),
            watchers: WaitList::new(),
            select_state: None,
        }
    }

    /// Whether neither the other side waits, nor anybody watches. One branch, for it decides each fast path.
    #[inline]
    fn is_quiet_for(&self, others: &WaitList<Packet<T>>) -> bool {
        others.is_empty() & self.watchers.is_empty()
    }

    /// What [`put`](Self::put) comes to when nobody waits: into the buffer.
    #[inline]
    pub(super) fn push(&mut self, message: T) -> Result<(), T> {
        if self.is_quiet_for(&self.receivers) && !self.disconnected && self.has_place() {
            self.buffer.push_back(message);
            return Ok(());
        }
        Err(message)
    }

    /// What [`take`](Self::take) comes to when nobody waits: from the buffer.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.is_quiet_for(&self.senders) { self.buffer.pop_front() } else { None }
    }

    /// Passes the message in `packet` to a waiting receiver (which the caller then wakes) or into the buffer; leaves it
    /// where it is if there is room in neither, or nobody to receive it.
    #[inline(always)]
    pub(super) fn put(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        if self.disconnected {
            return None;
        }
        let woken = self.receivers.pop_front_exchanging(packet);
        if woken.is_none()
            && self.has_place()
            && let Packet::Message(message) = mem::replace(packet, Packet::Empty)
        {
            self.buffer.push_back(message);
        }
        woken
    }

    /// Takes the first message into `packet`, or (capacity 0) what a waiting sender gives: a message, or the promise of
    /// one. A waiting sender, which the caller then wakes, moves up into the place that has become free.
    #[inline(always)]
    pub(super) fn take(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        let Some(first) = self.buffer.pop_front() else {
            if self.buffer.capacity() > self.spacious {
                // A backlog has been worked off: its memory goes back, as that of linked blocks would.
                self.buffer = VecDeque::new();
            }
            // With a buffer that is empty, its places are kept for others, who also owe the next message.
            return if self.limit == 0 { self.senders.pop_front_exchanging(packet) } else { None };
        };
        *packet = Packet::Message(first);
        if !self.has_place() {
            // It was one that was put back, above the capacity.
            return None;
        }
        let mut next = Packet::Empty;
        let woken = self.senders.pop_front_exchanging(&mut next);
        match next {
            Packet::Empty => {}
            Packet::Message(next) => self.buffer.push_back(next),
            Packet::Reservation => self.kept += 1,
        }
        woken
    }

    /// A receiver returns the message in `packet`, which it was handed and has not received: the next one to receive gets
    /// it, before all others. The caller wakes the receiver.
    pub(super) fn put_back(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        let woken = self.receivers.pop_front_exchanging(packet);
        if woken.is_none()
            && let Packet::Message(message) = mem::replace(packet, Packet::Empty)
        {
            self.buffer.push_front(message);
        }
        woken
    }

    /// Selects a sender that is still to make its message, if it can send without waiting.
    pub(super) fn reserve(&mut self) -> Reserved {
        if self.disconnected {
            return Reserved::Refused(Refusal::Disconnected);
        }
        if self.has_place() {
            self.kept += 1;
            return Reserved::Granted(None);
        }
        if self.limit == 0 {
            let woken = self.receivers.pop_front_exchanging(&mut Packet::Reservation);
            if woken.is_some() {
                return Reserved::Granted(woken);
            }
        }
        Reserved::Refused(Refusal::WouldBlock)
    }

    /// A selected sender sends its message. The caller then calls [`advance`](Self::advance).
    /// The message stays in `packet` if all receivers are gone.
    pub(super) fn fulfil(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        if self.limit == 0 {
            return self.handoffs().arrive(packet);
        }
        self.kept -= 1;
        self.put(packet)
    }

    /// A selected sender will not send. The caller then calls [`advance`](Self::advance).
    pub(super) fn abandon(&mut self) -> Option<Wakeup> {
        if self.limit == 0 {
            return self.handoffs().abandon_one();
        }
        self.kept -= 1;
        None
    }

    /// Lets the first waiting sender move up if there is a place for it. The caller wakes these, and calls again.
    pub(super) fn advance(&mut self) -> Option<[Option<Wakeup>; 2]> {
        if self.disconnected || !self.has_place() {
            return None;
        }
        let mut packet = Packet::Empty;
        let sender = self.senders.pop_front_exchanging(&mut packet);
        match packet {
            Packet::Empty => None,
            Packet::Message(_) => Some([sender, self.put(&mut packet)]),
            Packet::Reservation => {
                self.kept += 1;
                Some([sender, None])
            }
        }
    }

    /// Whether the buffer has a place that is not kept for anybody.
    #[inline]
    pub(super) fn has_place(&self) -> bool {
        self.buffer.len() + self.kept < self.limit
    }

    /// Whether a `take` would succeed, or fail for good.
    pub(super) fn is_ready_to_take(&self) -> bool {
        !self.buffer.is_empty() || self.disconnected || (self.limit == 0 && !self.senders.is_empty())
    }

    /// Whether a `put` would succeed, or fail for good.
    pub(super) fn is_ready_to_put(&self) -> bool {
        self.has_place() || self.disconnected || (self.limit == 0 && !self.receivers.is_empty())
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn senders(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.senders
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn receivers(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.receivers
    }

    /// Wakeup after each change, all of them.
    pub(super) fn watchers(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.watchers
    }

    /// Whether a change is to be made known.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    fn select_state(&mut self) -> &mut SelectState<T> {
        self.select_state.get_or_insert_with(|| {
            Box::new(SelectState { handoffs: Handoffs::new(), aside: VecDeque::new() })
        })
    }

    /// What receivers are owed by selected senders (capacity 0).
    pub(super) fn handoffs(&mut self) -> &mut Handoffs<T> {
        &mut self.select_state().handoffs
    }

    /// Keeps the message of a selected receive operation for its completion.
    pub(super) fn set_aside(&mut self, message: T) {
        self.select_state().aside.push_back(message);
    }

    /// The message of a selected receive operation that is now completed.
    pub(super) fn take_aside(&mut self) -> Option<T> {
        self.select_state().aside.pop_front()
    }

    /// Why a `put` or `take` failed just now.
    pub(super) fn refusal(&self) -> Refusal {
        if self.disconnected { Refusal::Disconnected } else { Refusal::WouldBlock }
    }

    /// Messages in the buffer.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether one side is gone.
    pub(super) fn is_disconnected(&self) -> bool {
        self.disconnected
    }

    /// One side is gone. The caller then wakes everybody.
    pub(super) fn disconnect(&mut self) {
        self.disconnected = true;
    }

    /// Empties the buffer. The caller drops what was in it once the lock is released.
    pub(super) fn take_all(&mut self) -> VecDeque<T> {
        mem::take(&mut self.buffer)
    }
}
