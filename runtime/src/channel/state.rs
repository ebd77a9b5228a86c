//! The data under a channel's lock: the buffer, and the wait lists of both ends.
//!
//! Invariants:
//!
//! 1. If a receiver waits, the buffer is empty.
//! 2. If a sender waits, the buffer is full, counting the slots that are reserved for selecting senders. (A buffer of
//!    capacity 0 is always full.) A receiver and a sender wait at the same time only if all slots are reserved, or if both
//!    belong to one `select`.
//!    A message that was put back stands before all others in the buffer, even above its capacity.
//! 3. Once `disconnected` is set, nobody joins a list, and all lists are being emptied.
//!
//! A message is **handed over** through the node of the waiter: a sender that finds a receiver waiting puts the message
//! into the receiver's node; a receiver that finds a sender waiting takes the message from the sender's node. So a waiter
//! that is woken is done without taking the lock again, and messages stay in order.
//!
//! A **selecting** sender has no message before it has been selected. It waits with a reservation instead. Selecting it
//! grants the right to send one message later: with a buffer, a slot is reserved for it; without one, it and a receiver
//! are committed to each other, and the receiver waits for the handoff (`handoffs.rs`).

use std::collections::VecDeque;
use std::mem;

use super::handoffs::Handoffs;
use super::shared::Refusal;
use crate::park::primitive::Wakeup;
use crate::park::wait_list::WaitList;

/// The buffer is allocated for at most this many messages at first; a larger one grows when it is used.
const PREALLOCATED: usize = 1024;

/// The content of a waiter's node. Two peers that meet exchange their packets.
#[derive(Debug)]
pub(super) enum Packet<T> {
    /// A receiver's packet while it waits, and a sender's after its message was taken.
    Empty,
    Message(T),
    /// A message that will be made later. A sender that is left with it was not selected.
    Reservation,
}

impl<T> Packet<T> {
    /// The message. The caller knows that there is one.
    pub(super) fn unwrap_message(self) -> T {
        match self {
            Self::Message(message) => message,
            Self::Empty | Self::Reservation => unreachable!("nobody has taken the message"),
        }
    }
}

/// An unbounded buffer that is empty keeps at most this many slots.
const KEPT: usize = 4096;

/// The result of a selecting sender's attempt.
#[derive(Debug)]
pub(super) enum Reserved {
    /// It may send one message, and must wake the receiver that waits for it.
    Granted(Option<Wakeup>),
    Refused(Refusal),
}

/// See the module's documentation.
pub(super) struct State<T> {
    buffer: VecDeque<T>,
    /// Most messages that the buffer may hold; `usize::MAX` for an unbounded channel.
    limit: usize,
    /// A buffer that is found empty keeps this many slots; all of them if it has a bound.
    spacious: usize,
    /// Slots of the buffer that are reserved for senders that have been selected.
    reserved: usize,
    disconnected: bool,
    /// Each with the message it sends, or with a reservation.
    senders: WaitList<Packet<T>>,
    /// Each with an empty packet.
    receivers: WaitList<Packet<T>>,
    /// Waiters of `ready`: they wait until an operation could begin, and do not begin it. Their packets stay empty.
    watchers: WaitList<Packet<T>>,
    /// State that only selects need. The first select allocates it, since most channels see none.
    select_state: Option<Box<SelectState<T>>>,
}

/// Messages that have been selected and are still to be sent or received.
struct SelectState<T> {
    /// Used only without a buffer.
    handoffs: Handoffs<T>,
    /// Messages of receive operations that have been selected and not yet completed.
    aside: VecDeque<T>,
}

impl<T> State<T> {
    /// An empty buffer of at most `capacity` messages (`None`: any number), and no waiters.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            buffer: VecDeque::with_capacity(capacity.unwrap_or(0).min(PREALLOCATED)),
            limit: capacity.unwrap_or(usize::MAX),
            spacious: capacity.map_or(KEPT, |_| usize::MAX),
            reserved: 0,
            disconnected: false,
            senders: WaitList::new(),
            receivers: WaitList::new(),
            watchers: WaitList::new(),
            select_state: None,
        }
    }

    /// Whether neither the other side nor a watcher waits. It is one branch, because it decides each fast path.
    #[inline]
    fn is_quiet_for(&self, others: &WaitList<Packet<T>>) -> bool {
        others.is_empty() & self.watchers.is_empty()
    }

    /// The fast path of [`put`](Self::put), when nobody waits: into the buffer.
    #[inline]
    pub(super) fn push(&mut self, message: T) -> Result<(), T> {
        if self.is_quiet_for(&self.receivers) && !self.disconnected && self.has_room() {
            self.buffer.push_back(message);
            return Ok(());
        }
        Err(message)
    }

    /// The fast path of [`take`](Self::take), when nobody waits: from the buffer.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.is_quiet_for(&self.senders) { self.buffer.pop_front() } else { None }
    }

    /// Passes the message in `packet` to a waiting receiver (which the caller then wakes) or into the buffer. If neither is
    /// possible, or all receivers are gone, the message stays in `packet`.
    #[inline(always)]
    pub(super) fn put(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        if self.disconnected {
            return None;
        }
        let wakeup = self.receivers.pop_front_exchanging(packet);
        if wakeup.is_none()
            && self.has_room()
            && let Packet::Message(message) = mem::replace(packet, Packet::Empty)
        {
            self.buffer.push_back(message);
        }
        wakeup
    }

    /// Takes the first message into `packet`, or (capacity 0) the packet of a waiting sender: a message or a reservation.
    /// A waiting sender, which the caller then wakes, moves up into the slot that has become free.
    #[inline(always)]
    pub(super) fn take(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        let Some(first) = self.buffer.pop_front() else {
            if self.buffer.capacity() > self.spacious {
                // A backlog has been worked off: its memory goes back, as that of linked blocks would.
                self.buffer = VecDeque::new();
            }
            // If the buffer is empty, its slots are reserved for others, who will also send the next message.
            return if self.limit == 0 { self.senders.pop_front_exchanging(packet) } else { None };
        };
        *packet = Packet::Message(first);
        if !self.has_room() {
            // The message was put back, above the capacity.
            return None;
        }
        let mut next = Packet::Empty;
        let wakeup = self.senders.pop_front_exchanging(&mut next);
        match next {
            Packet::Empty => {}
            Packet::Message(next) => self.buffer.push_back(next),
            Packet::Reservation => self.reserved += 1,
        }
        wakeup
    }

    /// Whether a `take` would neither find anything nor change anything, and the other side may still come.
    #[inline]
    pub(super) fn has_nothing(&self) -> bool {
        // One branch for what is seldom.
        let is_open = !self.disconnected & (self.buffer.capacity() <= self.spacious);
        self.buffer.is_empty() && self.senders.is_empty() & is_open
    }

    /// A receiver returns the message in `packet`, which was handed to it and which it has not received. The next receiver
    /// gets this message before all others. The caller wakes the receiver.
    pub(super) fn put_back(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        let wakeup = self.receivers.pop_front_exchanging(packet);
        if wakeup.is_none()
            && let Packet::Message(message) = mem::replace(packet, Packet::Empty)
        {
            self.buffer.push_front(message);
        }
        wakeup
    }

    /// Selects a sender that will make its message later, if it can send without waiting.
    pub(super) fn reserve(&mut self) -> Reserved {
        if self.disconnected {
            return Reserved::Refused(Refusal::Disconnected);
        }
        if self.has_room() {
            self.reserved += 1;
            return Reserved::Granted(None);
        }
        if self.limit == 0 {
            let wakeup = self.receivers.pop_front_exchanging(&mut Packet::Reservation);
            if wakeup.is_some() {
                return Reserved::Granted(wakeup);
            }
        }
        Reserved::Refused(Refusal::WouldBlock)
    }

    /// A selected sender sends its message. The message stays in `packet` if all receivers are gone.
    /// The caller then calls [`advance`](Self::advance).
    pub(super) fn fulfil(&mut self, packet: &mut Packet<T>) -> Option<Wakeup> {
        if self.limit == 0 {
            return self.handoffs().deliver(packet);
        }
        self.reserved -= 1;
        self.put(packet)
    }

    /// A selected sender will not send. The caller then calls [`advance`](Self::advance).
    pub(super) fn abandon(&mut self) -> Option<Wakeup> {
        if self.limit == 0 {
            return self.handoffs().abandon_one();
        }
        self.reserved -= 1;
        None
    }

    /// Lets the first waiting sender move up if a slot is free for it. The caller wakes both, and calls this again.
    pub(super) fn advance(&mut self) -> Option<[Option<Wakeup>; 2]> {
        if self.disconnected || !self.has_room() {
            return None;
        }
        let mut packet = Packet::Empty;
        let sender = self.senders.pop_front_exchanging(&mut packet);
        match packet {
            Packet::Empty => None,
            Packet::Message(_) => Some([sender, self.put(&mut packet)]),
            Packet::Reservation => {
                self.reserved += 1;
                Some([sender, None])
            }
        }
    }

    /// Whether the buffer has a slot that is neither used nor reserved.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() + self.reserved < self.limit
    }

    /// Whether a `take` would succeed or fail for good.
    pub(super) fn is_ready_to_take(&self) -> bool {
        !self.buffer.is_empty() || self.disconnected || (self.limit == 0 && !self.senders.is_empty())
    }

    /// Whether a `put` would succeed or fail for good.
    pub(super) fn is_ready_to_put(&self) -> bool {
        self.has_room() || self.disconnected || (self.limit == 0 && !self.receivers.is_empty())
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn senders(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.senders
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn receivers(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.receivers
    }

    /// Waiters of `ready`, all of which are woken after each change.
    pub(super) fn watchers(&mut self) -> &mut WaitList<Packet<T>> {
        &mut self.watchers
    }

    /// Whether somebody waits to be told of a change.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    fn select_state(&mut self) -> &mut SelectState<T> {
        self.select_state.get_or_insert_with(|| {
            Box::new(SelectState { handoffs: Handoffs::new(), aside: VecDeque::new() })
        })
    }

    /// Messages that selected senders will deliver to their receivers (capacity 0).
    pub(super) fn handoffs(&mut self) -> &mut Handoffs<T> {
        &mut self.select_state().handoffs
    }

    /// Keeps the message of a selected receive operation for its completion.
    pub(super) fn set_aside(&mut self, message: T) {
        self.select_state().aside.push_back(message);
    }

    /// Takes the message of a selected receive operation, to complete it.
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

    /// One side is gone. Returns whether anybody waits, whom the caller then wakes: nobody joins a list from now on.
    #[must_use = "who waits must be woken"]
    pub(super) fn disconnect(&mut self) -> bool {
        self.disconnected = true;
        !(self.senders.is_empty() & self.receivers.is_empty() & self.watchers.is_empty())
    }

    /// Empties the buffer. The caller drops what was in it once the lock is released.
    pub(super) fn take_all(&mut self) -> VecDeque<T> {
        mem::take(&mut self.buffer)
    }
}
