//! One channel: a meeting under its lock, how many ends there are, and how an end waits.
//!
//! The lock is held for a few instructions. A message exists in one place at any time (its sender's frame, a node, the
//! buffer, its receiver's frame), each of which drops it. Nothing that belongs to the user (a destructor) and no
//! system call (of a wake-up) runs under the lock.

use std::time::Instant;

use super::meeting::Meeting;
use crate::atomic::{AtomicBool, AtomicUsize, Ordering, spin_loop, thread_yield};
use crate::fiber::{Outcome, Reason};
use crate::queue::Hope;
use crate::sync::parking::{self, SpinGuard, SpinLock, Woken};
use crate::sync::wait_list::{self, End};

/// See the module's documentation.
pub(super) struct Exchange<T> {
    capacity: Option<usize>,
    meeting: SpinLock<Meeting<T>>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Whether the last one that was woken runs on another thread than its waker.
    far: AtomicBool,
    /// Whether it pays to linger.
    hope: Hope<64>,
}

type Locked<'a, T> = SpinGuard<'a, Meeting<T>>;

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

/// One that would park while the other side runs on another core first stays for these pauses (in spin hints), and
/// looks again after each. In the first one the other side moves a few dozen messages at its full speed; parking
/// and being woken across cores costs as much as hundreds of messages.
const LINGER: [u32; 3] = [8, 16, 32];

/// A plain thread, which keeps nobody from running, then looks as many times more, offering its core in between.
const YIELDS: usize = 16;

/// One that finds the lock taken stays away for these pauses (in spin hints): the two cores then take turns of many
/// messages each, instead of passing the lock's cache line to and fro for every message.
const STAND_BACK: [u32; 4] = [8, 16, 32, 64];

impl<T> Exchange<T> {
    /// With one sender and one receiver.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            capacity,
            meeting: SpinLock::new(Meeting::new(capacity)),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            far: AtomicBool::new(false),
            hope: Hope::new(),
        }
    }

    /// Sends `message`, or gives it back.
    #[inline]
    pub(super) fn send(&self, message: T, patience: Patience) -> Result<(), (Refusal, T)> {
        match (self.attempt_send(message), patience) {
            (Ok(()), _) => Ok(()),
            (Err((meeting, message)), Patience::Until(deadline)) if !meeting.is_disconnected() => {
                self.wait_to_send(meeting, message, deadline)
            }
            (Err((meeting, message)), _) => Err((meeting.refusal(), message)),
        }
    }

    /// Receives a message.
    #[inline]
    pub(super) fn receive(&self, patience: Patience) -> Result<T, Refusal> {
        match (self.attempt_receive(), patience) {
            (Ok(message), _) => Ok(message),
            (Err(meeting), Patience::Until(deadline)) if !meeting.is_disconnected() => {
                self.wait_to_receive(meeting, deadline)
            }
            (Err(meeting), _) => Err(meeting.refusal()),
        }
    }

    /// Sends, or returns the message with the lock still held.
    #[inline]
    fn attempt_send(&self, message: T) -> Result<(), (Locked<'_, T>, T)> {
        let mut meeting = self.enter();
        match meeting.put(message) {
            Ok(woken) => {
                drop(meeting);
                self.wake(woken);
                Ok(())
            }
            Err(message) => Err((meeting, message)),
        }
    }

    /// Receives, or returns with the lock still held.
    #[inline]
    fn attempt_receive(&self) -> Result<T, Locked<'_, T>> {
        let mut meeting = self.enter();
        match meeting.take() {
            Some((message, woken)) => {
                drop(meeting);
                self.wake(woken);
                Ok(message)
            }
            None => Err(meeting),
        }
    }

    #[cold]
    fn wait_to_send<'a>(
        &'a self,
        mut meeting: Locked<'a, T>,
        mut message: T,
        deadline: Option<Instant>,
    ) -> Result<(), (Refusal, T)> {
        if self.may_linger() {
            for look in 0..looks() {
                drop(meeting);
                linger(look);
                match self.attempt_send(message) {
                    Ok(()) => {
                        self.hope.confirm();
                        return Ok(());
                    }
                    Err(refused) => (meeting, message) = refused,
                }
                if meeting.is_disconnected() {
                    return Err((Refusal::Disconnected, message));
                }
            }
            self.hope.disappoint();
        }
        let offer = Some(message);
        let (outcome, message) = wait_list::wait(
            meeting,
            Meeting::senders,
            End::Back,
            offer,
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
            (Outcome::Cancelled, _message) => parking::unwind(),
            (Outcome::TimedOut, None) => unreachable!("only a claim takes a waiting sender's message"),
        }
    }

    #[cold]
    fn wait_to_receive<'a>(
        &'a self,
        mut meeting: Locked<'a, T>,
        deadline: Option<Instant>,
    ) -> Result<T, Refusal> {
        if self.may_linger() {
            for look in 0..looks() {
                drop(meeting);
                linger(look);
                match self.attempt_receive() {
                    Ok(message) => {
                        self.hope.confirm();
                        return Ok(message);
                    }
                    Err(refused) => meeting = refused,
                }
                if meeting.is_disconnected() {
                    return Err(Refusal::Disconnected);
                }
            }
            self.hope.disappoint();
        }
        let (outcome, message) = wait_list::wait(
            meeting,
            Meeting::receivers,
            End::Back,
            None,
            Reason::ChannelReceive,
            deadline,
            || (),
        );
        match (outcome, message) {
            (Outcome::Notified, Some(message)) => Ok(message),
            (Outcome::Notified, None) => Err(Refusal::Disconnected),
            // The deadline's (or the cancellation's) claim came first: a sender that had put its message into the
            // node took it back when its own claim failed.
            (Outcome::TimedOut, _none) => Err(Refusal::Unready),
            (Outcome::Cancelled, _none) => parking::unwind(),
        }
    }

    /// Delivers a wake-up and notes how far it went.
    #[inline]
    fn wake(&self, woken: Option<Woken>) {
        let Some(woken) = woken else { return };
        let far = parking::is_elsewhere(&woken);
        // Compared first: a store of the same value would still take the cache line away from the other core.
        if self.far.load(Ordering::Relaxed) != far {
            self.far.store(far, Ordering::Relaxed);
        }
        parking::wake(woken);
    }

    /// Whether to look again for a moment before parking; see [`LINGER`].
    fn may_linger(&self) -> bool {
        self.far.load(Ordering::Relaxed) && parking::is_alone() && self.hope.says_spin()
    }

    /// Takes the lock.
    #[inline]
    fn enter(&self) -> Locked<'_, T> {
        match self.meeting.try_lock() {
            Some(meeting) => meeting,
            None => self.enter_contended(),
        }
    }

    #[cold]
    fn enter_contended(&self) -> Locked<'_, T> {
        for hints in STAND_BACK {
            pause(hints);
            if let Some(meeting) = self.meeting.try_lock() {
                return meeting;
            }
        }
        self.meeting.lock()
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
            let left = self.meeting.lock().take_all();
            // A destructor may be long, or use this channel: the lock is not held here.
            drop(left);
        }
    }

    /// Wakes everybody. A sender finds its message still in its node, a receiver finds none.
    fn disconnect(&self) {
        self.meeting.lock().disconnect();
        wait_list::wake_up_to(&self.meeting, Meeting::senders, usize::MAX);
        wait_list::wake_up_to(&self.meeting, Meeting::receivers, usize::MAX);
    }

    /// Messages in the buffer.
    pub(super) fn len(&self) -> usize {
        self.meeting.lock().len()
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

/// How often one that lingers looks again.
fn looks() -> usize {
    if parking::on_fiber() { LINGER.len() } else { LINGER.len() + YIELDS }
}

/// Lets some time pass before the next look.
fn linger(look: usize) {
    match LINGER.get(look) {
        Some(hints) => pause(*hints),
        None => thread_yield(),
    }
}

/// Waits without touching memory, for that many spin hints.
fn pause(hints: u32) {
    for _ in 0..hints {
        spin_loop();
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
