//! What an exchange's lock guards: the buffer, and who waits at either end of it.
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
//! A **selecting** sender has no message before it has been selected. It waits with a pledge instead, and is selected by
//! getting the right to send one message later: with a buffer, a place is kept for it; without one, it and a receiver
//! are committed to each other, and the receiver is owed the message (`owed.rs`).

use std::collections::VecDeque;
use std::mem;

use super::exchange::Refusal;
use super::owed::Owed;
use crate::park::primitive::Woken;
use crate::park::wait_list::WaitList;

/// The most messages for which there is room from the start; a larger buffer grows when it is used.
const PREALLOCATED: usize = 1024;

/// What travels with a waiter's node. The two who meet exchange theirs.
#[derive(Debug)]
pub(super) enum Parcel<T> {
    /// What a receiver waits with, and what a sender is left with.
    Empty,
    Message(T),
    /// A message that is still to be made. A sender that keeps it was not selected.
    Pledge,
}

impl<T> Parcel<T> {
    /// The message that is known to be inside.
    pub(super) fn unwrap_message(self) -> T {
        match self {
            Self::Message(message) => message,
            Self::Empty | Self::Pledge => unreachable!("nobody has taken the message"),
        }
    }
}

/// The most places of an empty buffer without a bound that are kept.
const KEPT: usize = 4096;

/// How a selecting sender's try ended.
#[derive(Debug)]
pub(super) enum Pledged {
    /// It may send one message, and must wake the receiver who is owed it.
    Granted(Option<Woken>),
    Refused(Refusal),
}

/// See the module's documentation.
pub(super) struct Meeting<T> {
    buffer: VecDeque<T>,
    /// Most messages that the buffer may hold; `usize::MAX` for an unbounded channel.
    limit: usize,
    /// A buffer that is found empty keeps so many places; all of them if it has a bound.
    spacious: usize,
    /// Places of the buffer that are kept for senders that have been selected.
    kept: usize,
    disconnected: bool,
    /// Each with the message it sends, or with a pledge.
    senders: WaitList<Parcel<T>>,
    /// Each with an empty parcel.
    receivers: WaitList<Parcel<T>>,
    /// Who waits for an operation to become ready and does not begin it. Their parcels are empty and stay so.
    watchers: WaitList<Parcel<T>>,
    /// What only selects need: made by the first one, since most channels see none.
    later: Option<Box<Later<T>>>,
}

/// Messages that have been selected and are still to be sent or received.
struct Later<T> {
    /// Used without a buffer only.
    owed: Owed<T>,
    /// Messages of receive operations that have been selected and not yet completed.
    aside: VecDeque<T>,
}

impl<T> Meeting<T> {
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
            later: None,
        }
    }

    /// Whether neither the other side waits, nor anybody watches. One branch, for it decides each fast path.
    #[inline]
    fn is_quiet_for(&self, others: &WaitList<Parcel<T>>) -> bool {
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

    /// Passes the message in `parcel` to a waiting receiver (which the caller then wakes) or into the buffer; leaves it
    /// where it is if there is room in neither, or nobody to receive it.
    #[inline(always)]
    pub(super) fn put(&mut self, parcel: &mut Parcel<T>) -> Option<Woken> {
        if self.disconnected {
            return None;
        }
        let woken = self.receivers.pop_front_exchanging(parcel);
        if woken.is_none()
            && self.has_place()
            && let Parcel::Message(message) = mem::replace(parcel, Parcel::Empty)
        {
            self.buffer.push_back(message);
        }
        woken
    }

    /// Takes the first message into `parcel`, or (capacity 0) what a waiting sender gives: a message, or the promise of
    /// one. A waiting sender, which the caller then wakes, moves up into the place that has become free.
    #[inline(always)]
    pub(super) fn take(&mut self, parcel: &mut Parcel<T>) -> Option<Woken> {
        let Some(first) = self.buffer.pop_front() else {
            if self.buffer.capacity() > self.spacious {
                // A backlog has been worked off: its memory goes back, as that of linked blocks would.
                self.buffer = VecDeque::new();
            }
            // With a buffer that is empty, its places are kept for others, who also owe the next message.
            return if self.limit == 0 { self.senders.pop_front_exchanging(parcel) } else { None };
        };
        *parcel = Parcel::Message(first);
        if !self.has_place() {
            // It was one that was put back, above the capacity.
            return None;
        }
        let mut next = Parcel::Empty;
        let woken = self.senders.pop_front_exchanging(&mut next);
        match next {
            Parcel::Empty => {}
            Parcel::Message(next) => self.buffer.push_back(next),
            Parcel::Pledge => self.kept += 1,
        }
        woken
    }

    /// A receiver returns the message in `parcel`, which it was handed and has not received: the next one to receive gets
    /// it, before all others. The caller wakes the receiver.
    pub(super) fn put_back(&mut self, parcel: &mut Parcel<T>) -> Option<Woken> {
        let woken = self.receivers.pop_front_exchanging(parcel);
        if woken.is_none()
            && let Parcel::Message(message) = mem::replace(parcel, Parcel::Empty)
        {
            self.buffer.push_front(message);
        }
        woken
    }

    /// Selects a sender that is still to make its message, if it can send without waiting.
    pub(super) fn pledge(&mut self) -> Pledged {
        if self.disconnected {
            return Pledged::Refused(Refusal::Disconnected);
        }
        if self.has_place() {
            self.kept += 1;
            return Pledged::Granted(None);
        }
        if self.limit == 0 {
            let woken = self.receivers.pop_front_exchanging(&mut Parcel::Pledge);
            if woken.is_some() {
                return Pledged::Granted(woken);
            }
        }
        Pledged::Refused(Refusal::Unready)
    }

    /// A selected sender sends its message. The caller then calls [`advance`](Self::advance).
    /// The message stays in `parcel` if all receivers are gone.
    pub(super) fn fulfil(&mut self, parcel: &mut Parcel<T>) -> Option<Woken> {
        if self.limit == 0 {
            return self.owed().arrive(parcel);
        }
        self.kept -= 1;
        self.put(parcel)
    }

    /// A selected sender will not send. The caller then calls [`advance`](Self::advance).
    pub(super) fn abandon(&mut self) -> Option<Woken> {
        if self.limit == 0 {
            return self.owed().break_one();
        }
        self.kept -= 1;
        None
    }

    /// Lets the first waiting sender move up if there is a place for it. The caller wakes these, and calls again.
    pub(super) fn advance(&mut self) -> Option<[Option<Woken>; 2]> {
        if self.disconnected || !self.has_place() {
            return None;
        }
        let mut parcel = Parcel::Empty;
        let sender = self.senders.pop_front_exchanging(&mut parcel);
        match parcel {
            Parcel::Empty => None,
            Parcel::Message(_) => Some([sender, self.put(&mut parcel)]),
            Parcel::Pledge => {
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
    pub(super) fn senders(&mut self) -> &mut WaitList<Parcel<T>> {
        &mut self.senders
    }

    /// For [`wait_list::wait`](crate::park::wait_list::wait).
    pub(super) fn receivers(&mut self) -> &mut WaitList<Parcel<T>> {
        &mut self.receivers
    }

    /// Woken after each change, all of them.
    pub(super) fn watchers(&mut self) -> &mut WaitList<Parcel<T>> {
        &mut self.watchers
    }

    /// Whether a change is to be made known.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    fn later(&mut self) -> &mut Later<T> {
        self.later.get_or_insert_with(|| Box::new(Later { owed: Owed::new(), aside: VecDeque::new() }))
    }

    /// What receivers are owed by selected senders (capacity 0).
    pub(super) fn owed(&mut self) -> &mut Owed<T> {
        &mut self.later().owed
    }

    /// Keeps the message of a selected receive operation for its completion.
    pub(super) fn set_aside(&mut self, message: T) {
        self.later().aside.push_back(message);
    }

    /// The message of a selected receive operation that is now completed.
    pub(super) fn take_aside(&mut self) -> Option<T> {
        self.later().aside.pop_front()
    }

    /// Why a `put` or `take` failed just now.
    pub(super) fn refusal(&self) -> Refusal {
        if self.disconnected { Refusal::Disconnected } else { Refusal::Unready }
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
