//! Where senders and receivers meet: the buffer, who waits at either end of it, and how many ends there are.
//!
//! One lock guards it all, and it is held for a few instructions. Invariants under the lock:
//!
//! 1. If a receiver waits, the buffer is empty and no sender waits.
//! 2. If a sender waits, the buffer is full (a buffer of capacity 0 always is).
//! 3. Once `disconnected` is set nobody joins a list, and both are emptied.
//!
//! A message is **handed over** through the node of the one that waits: a sender that finds a receiver waiting puts the message
//! into the receiver's node and wakes it; a receiver that finds a sender waiting takes its message from its node. So
//! one that is woken is done without taking the lock again, and messages stay in order.
//!
//! A message exists in one place at any time (its sender's frame, a node, the buffer, its receiver's frame), each of
//! which drops it. Nothing that belongs to the user (a destructor, a waker's system call) runs under the lock.

use std::collections::VecDeque;
use std::time::Instant;

use crate::atomic::{AtomicUsize, Ordering};
use crate::fiber::{Outcome, Reason};
#[cfg(not(loom))]
use crate::park;
#[cfg(loom)]
use crate::sync::model_park as park;
use crate::sync::wait_list::{self, End, WaitList};
use crate::sync::{SpinGuard, SpinLock};

/// See the module's documentation.
pub(super) struct Exchange<T> {
    capacity: Option<usize>,
    meeting: SpinLock<Meeting<T>>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// What the lock guards.
struct Meeting<T> {
    buffer: VecDeque<T>,
    /// Most messages that the buffer may hold; `usize::MAX` for an unbounded channel.
    limit: usize,
    disconnected: bool,
    /// Each with the message it sends, until a receiver takes it.
    senders: WaitList<Option<T>>,
    /// Each with an empty place for a message.
    receivers: WaitList<Option<T>>,
}

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until the deadline; `None` is forever.
    Until(Option<Instant>),
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It would have had to wait (any longer).
    Unready,
    /// The other side is gone.
    Disconnected,
}

/// The most that is allocated before the first message; a larger buffer grows when it is used.
const PREALLOCATED: usize = 1024;

impl<T> Exchange<T> {
    /// With one sender and one receiver.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        let meeting = Meeting {
            buffer: VecDeque::with_capacity(capacity.unwrap_or(0).min(PREALLOCATED)),
            limit: capacity.unwrap_or(usize::MAX),
            disconnected: false,
            senders: WaitList::new(),
            receivers: WaitList::new(),
        };
        Self {
            capacity,
            meeting: SpinLock::new(meeting),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    /// Sends `message`, or gives it back.
    #[inline]
    pub(super) fn send(&self, message: T, patience: Patience) -> Result<(), (Refusal, T)> {
        let mut meeting = self.meeting.lock();
        if meeting.disconnected {
            drop(meeting);
            return Err((Refusal::Disconnected, message));
        }
        let mut message = Some(message);
        if let Some(woken) = meeting.receivers.pop_front_exchanging(&mut message) {
            drop(meeting);
            park::wake(woken);
            return Ok(());
        }
        let Some(message) = message else { unreachable!("nobody took the message") };
        if meeting.buffer.len() < meeting.limit {
            meeting.buffer.push_back(message);
            return Ok(());
        }
        match patience {
            Patience::None => {
                drop(meeting);
                Err((Refusal::Unready, message))
            }
            Patience::Until(deadline) => wait_to_send(meeting, message, deadline),
        }
    }

    /// Receives a message.
    #[inline]
    pub(super) fn receive(&self, patience: Patience) -> Result<T, Refusal> {
        let mut meeting = self.meeting.lock();
        let first = meeting.buffer.pop_front();
        // A waiting sender moves up: into the place that has become free, or (capacity 0) straight to us.
        let mut next = None;
        if let Some(woken) = meeting.senders.pop_front_exchanging(&mut next) {
            let Some(next) = next else { unreachable!("a waiting sender has a message") };
            let message = match first {
                Some(first) => {
                    meeting.buffer.push_back(next);
                    first
                }
                None => next,
            };
            drop(meeting);
            park::wake(woken);
            return Ok(message);
        }
        if let Some(message) = first {
            return Ok(message);
        }
        if meeting.disconnected {
            return Err(Refusal::Disconnected);
        }
        match patience {
            Patience::None => Err(Refusal::Unready),
            Patience::Until(deadline) => wait_to_receive(meeting, deadline),
        }
    }

    /// Counts another sender.
    pub(super) fn add_sender(&self) {
        // Relaxed, here and below: the clone is made through an end that is still counted.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts another receiver.
    pub(super) fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a sender less; the last one disconnects the channel.
    pub(super) fn remove_sender(&self) {
        // Relaxed, here and below: the lock orders what the last one does after what the others sent.
        if self.senders.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.disconnect();
        }
    }

    /// Counts a receiver less; the last one disconnects the channel and drops the messages that are left.
    pub(super) fn remove_receiver(&self) {
        if self.receivers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.disconnect();
            let left = std::mem::take(&mut self.meeting.lock().buffer);
            // A destructor may be long, or use this channel: the lock is not held here.
            drop(left);
        }
    }

    /// Wakes everybody. A sender finds its message still in its node, a receiver finds none.
    fn disconnect(&self) {
        self.meeting.lock().disconnected = true;
        wait_list::wake_up_to(&self.meeting, |meeting| &mut meeting.senders, usize::MAX);
        wait_list::wake_up_to(&self.meeting, |meeting| &mut meeting.receivers, usize::MAX);
    }

    /// Messages in the buffer.
    pub(super) fn len(&self) -> usize {
        self.meeting.lock().buffer.len()
    }

    /// Whether the buffer has no place; `false` for an unbounded channel.
    pub(super) fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.len() == capacity)
    }

    /// `None` for an unbounded channel.
    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }
}

#[cold]
fn wait_to_send<T>(
    meeting: SpinGuard<'_, Meeting<T>>,
    message: T,
    deadline: Option<Instant>,
) -> Result<(), (Refusal, T)> {
    let (outcome, message) = wait_list::wait(
        meeting,
        |meeting| &mut meeting.senders,
        End::Back,
        Some(message),
        Reason::ChannelSend,
        deadline,
        || (),
    );
    match (outcome, message) {
        (Outcome::Notified, None) => Ok(()),
        (Outcome::Notified, Some(message)) => Err((Refusal::Disconnected, message)),
        // The deadline's claim came first, so no receiver has taken the message.
        (Outcome::TimedOut, Some(message)) => Err((Refusal::Unready, message)),
        // Likewise; the message is dropped here.
        (Outcome::Cancelled, _message) => park::unwind(),
        (Outcome::TimedOut, None) => {
            unreachable!("a message is taken only by the one that claims its sender")
        }
    }
}

#[cold]
fn wait_to_receive<T>(meeting: SpinGuard<'_, Meeting<T>>, deadline: Option<Instant>) -> Result<T, Refusal> {
    let (outcome, message) = wait_list::wait(
        meeting,
        |meeting| &mut meeting.receivers,
        End::Back,
        None,
        Reason::ChannelReceive,
        deadline,
        || (),
    );
    match (outcome, message) {
        (Outcome::Notified, Some(message)) => Ok(message),
        (Outcome::Notified, None) => Err(Refusal::Disconnected),
        // The deadline's (or the cancellation's) claim came first: a sender that had put its message into the node took
        // it back when its own claim failed.
        (Outcome::TimedOut, _none) => Err(Refusal::Unready),
        (Outcome::Cancelled, _none) => park::unwind(),
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a few operations: each message arrives once, and nobody sleeps forever.

    use std::time::Instant;

    use loom::sync::Arc;
    use loom::thread;

    use super::{Exchange, Patience, Refusal};

    const FOREVER: Patience = Patience::Until(None);

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    /// A patience that may end at any moment.
    fn some() -> Patience {
        Patience::Until(Some(Instant::now()))
    }

    fn exchange(capacity: usize) -> (Arc<Exchange<u8>>, Arc<Exchange<u8>>) {
        let exchange = Arc::new(Exchange::new(Some(capacity)));
        (Arc::clone(&exchange), exchange)
    }

    #[test]
    fn two_messages_arrive_in_order() {
        for capacity in 0..2 {
            check(move || {
                let (sender, receiver) = exchange(capacity);
                let thread = thread::spawn(move || {
                    sender.send(1, FOREVER).unwrap();
                    sender.send(2, FOREVER).unwrap();
                    sender.remove_sender();
                });
                assert_eq!(receiver.receive(FOREVER), Ok(1));
                assert_eq!(receiver.receive(FOREVER), Ok(2));
                assert_eq!(receiver.receive(FOREVER), Err(Refusal::Disconnected));
                thread.join().unwrap();
            });
        }
    }

    #[test]
    fn two_senders_reach_one_receiver() {
        for capacity in 0..2 {
            check(move || {
                let (sender, receiver) = exchange(capacity);
                let other = Arc::clone(&sender);
                let first = thread::spawn(move || sender.send(1, FOREVER).unwrap());
                let second = thread::spawn(move || other.send(2, FOREVER).unwrap());
                let sum = receiver.receive(FOREVER).unwrap() + receiver.receive(FOREVER).unwrap();
                assert_eq!(sum, 3);
                first.join().unwrap();
                second.join().unwrap();
            });
        }
    }

    #[test]
    fn a_send_that_times_out_has_not_sent() {
        for capacity in 0..2 {
            check(move || {
                let (sender, receiver) = exchange(capacity);
                let thread = thread::spawn(move || {
                    let sent = sender.send(1, some()).is_ok();
                    sender.remove_sender();
                    sent
                });
                let received = receiver.receive(FOREVER);
                assert_eq!(received.is_ok(), thread.join().unwrap());
            });
        }
    }

    #[test]
    fn a_receive_that_times_out_has_not_received() {
        for capacity in 0..2 {
            check(move || {
                let (sender, receiver) = exchange(capacity);
                let thread = thread::spawn(move || {
                    let received = receiver.receive(some());
                    receiver.remove_receiver();
                    received.is_ok()
                });
                let sent = sender.send(1, FOREVER).is_ok();
                let received = thread.join().unwrap();
                // Only a buffer can accept a message that nobody receives.
                assert!(sent == received || (sent && capacity > 0));
            });
        }
    }

    #[test]
    fn a_waiting_sender_is_told_that_the_receiver_is_gone() {
        check(|| {
            let (sender, receiver) = exchange(0);
            let thread = thread::spawn(move || sender.send(1, FOREVER));
            receiver.remove_receiver();
            assert_eq!(thread.join().unwrap(), Err((Refusal::Disconnected, 1)));
        });
    }
}
