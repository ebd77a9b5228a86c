//! What an exchange's lock guards: the buffer, and who waits at either end of it.
//!
//! Invariants:
//!
//! 1. If a receiver waits, the buffer is empty and no sender waits.
//! 2. If a sender waits, the buffer is full (a buffer of capacity 0 always is).
//! 3. Once `disconnected` is set nobody joins a list, and both are being emptied.
//!
//! A message is **handed over** through the node of the one that waits: a sender that finds a receiver waiting puts the
//! message into the receiver's node; a receiver that finds a sender waiting takes its message from its node. So one
//! that is woken is done without taking the lock again, and messages stay in order.

use std::collections::VecDeque;

use super::exchange::Refusal;
use crate::sync::parking::Woken;
use crate::sync::wait_list::WaitList;

/// The most messages for which there is room from the start; a larger buffer grows when it is used.
const PREALLOCATED: usize = 1024;

/// See the module's documentation.
pub(super) struct Meeting<T> {
    buffer: VecDeque<T>,
    /// Most messages that the buffer may hold; `usize::MAX` for an unbounded channel.
    limit: usize,
    disconnected: bool,
    /// Each with the message it sends, until a receiver takes it.
    senders: WaitList<Option<T>>,
    /// Each with an empty place for a message.
    receivers: WaitList<Option<T>>,
}

impl<T> Meeting<T> {
    /// An empty buffer of at most `capacity` messages (`None`: any number), and nobody there.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            buffer: VecDeque::with_capacity(capacity.unwrap_or(0).min(PREALLOCATED)),
            limit: capacity.unwrap_or(usize::MAX),
            disconnected: false,
            senders: WaitList::new(),
            receivers: WaitList::new(),
        }
    }

    /// Passes `message` to a waiting receiver (which the caller then wakes) or into the buffer; gives it back if
    /// there is room in neither, or nobody to receive it.
    #[inline]
    pub(super) fn put(&mut self, message: T) -> Result<Option<Woken>, T> {
        if self.disconnected {
            return Err(message);
        }
        let mut message = Some(message);
        let woken = self.receivers.pop_front_exchanging(&mut message);
        let Some(message) = message else { return Ok(woken) };
        if self.buffer.len() < self.limit {
            self.buffer.push_back(message);
            return Ok(None);
        }
        Err(message)
    }

    /// Takes the first message. A waiting sender, which the caller then wakes, moves up: its message goes into the
    /// place that has become free, or (capacity 0) straight to the caller.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(T, Option<Woken>)> {
        let first = self.buffer.pop_front();
        let mut next = None;
        let woken = self.senders.pop_front_exchanging(&mut next);
        match (first, next) {
            (Some(first), Some(next)) => {
                self.buffer.push_back(next);
                Some((first, woken))
            }
            (Some(message), None) | (None, Some(message)) => Some((message, woken)),
            (None, None) => None,
        }
    }

    /// For [`wait_list::wait`](crate::sync::wait_list::wait).
    pub(super) fn senders(&mut self) -> &mut WaitList<Option<T>> {
        &mut self.senders
    }

    /// For [`wait_list::wait`](crate::sync::wait_list::wait).
    pub(super) fn receivers(&mut self) -> &mut WaitList<Option<T>> {
        &mut self.receivers
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
        std::mem::take(&mut self.buffer)
    }
}
