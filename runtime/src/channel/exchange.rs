//! One channel: a meeting under its lock, how many ends there are, and how an end waits.
//!
//! The lock is held for a few instructions. A message exists in one place at any time (its sender's frame, a node, the
//! buffer, its receiver's frame), each of which drops it. Nothing that belongs to the user (a destructor) and no
//! system call (of a wake-up) runs under the lock.

use std::mem::ManuallyDrop;
use std::time::Instant;

use super::linger::{LINGER, looks};
use super::meeting::{Meeting, Parcel};
use super::turn::Turn;
use crate::atomic::{AtomicBool, AtomicUsize, Backoff, Ordering};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinGuard, SpinLock, Woken};
use crate::park::wait_list::{self, End};
use crate::queue::Hope;

/// See the module's documentation.
pub(super) struct Exchange<T> {
    capacity: Option<usize>,
    pub(super) meeting: SpinLock<Meeting<T>>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Whether the last one that was woken runs on another thread than its waker.
    far: AtomicBool,
    /// Whether it pays to linger.
    hope: Hope<64>,
    /// Where the next `select` begins to look.
    turn: Turn,
}

pub(super) type Locked<'a, T> = SpinGuard<'a, Meeting<T>>;

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until the deadline; `None` is forever.
    Until(Option<Instant>),
}

impl Patience {
    pub(super) fn cost(self) -> Cost {
        match self {
            Self::None => Cost::Call,
            Self::Until(_) => Cost::Wait,
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It would have had to wait (any longer).
    Unready,
    /// The other side is gone.
    Disconnected,
}

/// One that finds the lock taken stays away for these pauses (in spin hints): the two cores then take turns of many
/// messages each, instead of passing the lock's cache line to and fro for every message.
const STAND_BACK: &[u32] = &[8, 16, 32, 64];

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
            turn: Turn::new(),
        }
    }

    /// Sends `message`, or gives it back.
    #[inline]
    pub(super) fn send(&self, message: T, patience: Patience) -> Result<(), (Refusal, T)> {
        park::spend_as(|| if self.capacity.is_none() { Cost::Call } else { patience.cost() });
        let mut meeting = self.enter();
        match meeting.push(message) {
            Ok(()) => Ok(()),
            Err(message) => self.send_to_other(meeting, message, patience),
        }
    }

    /// Receives a message.
    #[inline]
    pub(super) fn receive(&self, patience: Patience) -> Result<T, Refusal> {
        park::spend_as(|| patience.cost());
        let mut meeting = self.enter();
        match meeting.pop() {
            Some(message) => Ok(message),
            None => self.receive_from_other(meeting, patience),
        }
    }

    /// Sends to one that waits, or waits.
    #[inline(never)]
    fn send_to_other(
        &self,
        meeting: Locked<'_, T>,
        message: T,
        patience: Patience,
    ) -> Result<(), (Refusal, T)> {
        let mut parcel = Parcel::Message(message);
        let refused = self.put(meeting, &mut parcel);
        match (refused, patience) {
            (None, _) => Ok(()),
            (Some(meeting), Patience::Until(deadline)) if !meeting.is_disconnected() => {
                self.wait_to_send(meeting, parcel, deadline)
            }
            (Some(meeting), _) => {
                let refusal = meeting.refusal();
                drop(meeting);
                park::spend(Cost::InVain);
                Err((refusal, parcel.unwrap_message()))
            }
        }
    }

    /// Receives from one that waits, or waits.
    #[inline(never)]
    fn receive_from_other(&self, meeting: Locked<'_, T>, patience: Patience) -> Result<T, Refusal> {
        let mut parcel = Parcel::Empty;
        let refused = self.take(meeting, &mut parcel);
        match (parcel, refused, patience) {
            (Parcel::Message(message), ..) => Ok(message),
            (_, None, _) => self.receive_promised(patience),
            (_, Some(meeting), Patience::Until(deadline)) if !meeting.is_disconnected() => {
                self.wait_to_receive(meeting, deadline)
            }
            (_, Some(meeting), _) => {
                let refusal = meeting.refusal();
                drop(meeting);
                park::spend(Cost::InVain);
                Err(refusal)
            }
        }
    }

    /// Sends the message in `parcel`; returns the lock, still held, if that is not possible.
    #[inline(always)]
    fn put<'a>(&'a self, mut meeting: Locked<'a, T>, parcel: &mut Parcel<T>) -> Option<Locked<'a, T>> {
        let woken = meeting.put(parcel);
        if let Parcel::Message(_) = parcel {
            return Some(meeting);
        }
        self.leave(meeting, woken);
        None
    }

    /// Receives (a message, or the promise of one) into `parcel`; returns the lock, still held, if that is not possible.
    #[inline(always)]
    fn take<'a>(&'a self, mut meeting: Locked<'a, T>, parcel: &mut Parcel<T>) -> Option<Locked<'a, T>> {
        let woken = meeting.take(parcel);
        if let Parcel::Empty = parcel {
            return Some(meeting);
        }
        self.leave(meeting, woken);
        None
    }

    /// Returns a message that was handed to a receiver who is gone.
    #[cold]
    pub(super) fn put_back(&self, message: T) {
        let mut meeting = self.enter();
        let woken = meeting.put_back(&mut Parcel::Message(message));
        self.leave(meeting, woken);
    }

    #[cold]
    fn wait_to_send<'a>(
        &'a self,
        mut meeting: Locked<'a, T>,
        mut parcel: Parcel<T>,
        deadline: Option<Instant>,
    ) -> Result<(), (Refusal, T)> {
        if self.may_linger() {
            let mut backoff = Backoff::new(LINGER);
            for _ in 0..looks() {
                drop(meeting);
                backoff.pause();
                match self.put(self.enter(), &mut parcel) {
                    Some(refused) => meeting = refused,
                    None => {
                        self.hope.confirm();
                        return Ok(());
                    }
                }
                if meeting.is_disconnected() {
                    return Err((Refusal::Disconnected, parcel.unwrap_message()));
                }
            }
            self.hope.disappoint();
        }
        let is_watched = meeting.is_watched();
        let (outcome, parcel) = wait_list::wait(
            meeting,
            Meeting::senders,
            End::Back,
            parcel,
            Reason::ChannelSend,
            deadline,
            || self.announce(is_watched),
        );
        match (outcome, parcel) {
            (Outcome::Notified, Parcel::Message(message)) => Err((Refusal::Disconnected, message)),
            (Outcome::Notified, _taken) => Ok(()),
            // The deadline's claim came first, so no receiver has taken the message.
            (Outcome::TimedOut, Parcel::Message(message)) => Err((Refusal::Unready, message)),
            // Likewise; the message is dropped here.
            (Outcome::Cancelled, _message) => park::unwind(),
            (Outcome::TimedOut, _taken) => unreachable!("only a claim takes a waiting sender's message"),
        }
    }

    #[cold]
    fn wait_to_receive<'a>(
        &'a self,
        mut meeting: Locked<'a, T>,
        deadline: Option<Instant>,
    ) -> Result<T, Refusal> {
        if self.may_linger() {
            let mut backoff = Backoff::new(LINGER);
            for _ in 0..looks() {
                drop(meeting);
                backoff.pause();
                let mut parcel = Parcel::Empty;
                match (self.take(self.enter(), &mut parcel), parcel) {
                    (Some(refused), _) => meeting = refused,
                    (None, Parcel::Message(message)) => {
                        self.hope.confirm();
                        return Ok(message);
                    }
                    (None, _promise) => return self.receive_promised(Patience::Until(deadline)),
                }
                if meeting.is_disconnected() {
                    return Err(Refusal::Disconnected);
                }
            }
            self.hope.disappoint();
        }
        let is_watched = meeting.is_watched();
        let (outcome, parcel) = wait_list::wait(
            meeting,
            Meeting::receivers,
            End::Back,
            Parcel::Empty,
            Reason::ChannelReceive,
            deadline,
            || self.announce(is_watched),
        );
        match (outcome, parcel) {
            (Outcome::Notified, Parcel::Message(message)) => Ok(message),
            (Outcome::Notified, Parcel::Pledge) => self.receive_promised(Patience::Until(deadline)),
            (Outcome::Notified, Parcel::Empty) => Err(Refusal::Disconnected),
            // The deadline's (or the cancellation's) claim came first: a sender that had put its message into the
            // node took it back when its own claim failed.
            (Outcome::TimedOut, _none) => Err(Refusal::Unready),
            (Outcome::Cancelled, _none) => park::unwind(),
        }
    }

    /// Releases the lock after a change, delivers the wake-up that it owes, and makes the change known.
    #[inline]
    pub(super) fn leave(&self, meeting: Locked<'_, T>, woken: Option<Woken>) {
        let is_watched = meeting.is_watched();
        drop(meeting);
        self.wake(woken);
        self.announce(is_watched);
    }

    /// Wakes those who watch for a change. The lock is not held.
    #[inline]
    pub(super) fn announce(&self, is_watched: bool) {
        if is_watched {
            self.wake_watchers();
        }
    }

    #[cold]
    fn wake_watchers(&self) {
        wait_list::wake_up_to(&self.meeting, Meeting::watchers, usize::MAX);
    }

    /// Delivers a wake-up and notes how far it went.
    #[inline]
    pub(super) fn wake(&self, woken: Option<Woken>) {
        let Some(woken) = woken else { return };
        let far = park::is_elsewhere(&woken);
        // Compared first: a store of the same value would still take the cache line away from the other core.
        if self.far.load(Ordering::Relaxed) != far {
            self.far.store(far, Ordering::Relaxed);
        }
        park::wake(woken);
    }

    /// Whether to look again for a moment before parking; `linger` says for how long. Not of a plain thread that is to meet another one:
    /// each would look for the other, who is not there while it looks. It waits at once, and stays awake in the wait.
    fn may_linger(&self) -> bool {
        if self.capacity == Some(0) && !park::on_fiber() {
            return false;
        }
        self.far.load(Ordering::Relaxed) && park::is_alone() && self.hope.says_spin()
    }

    /// Takes the lock.
    #[inline]
    pub(super) fn enter(&self) -> Locked<'_, T> {
        match self.meeting.try_lock() {
            Some(meeting) => meeting,
            None => self.enter_contended(),
        }
    }

    #[cold]
    fn enter_contended(&self) -> Locked<'_, T> {
        let mut backoff = Backoff::new(STAND_BACK);
        while !backoff.is_used_up() {
            backoff.pause();
            if let Some(meeting) = self.meeting.try_lock() {
                return meeting;
            }
        }
        self.meeting.lock()
    }

    /// Counts another sender.
    pub(super) fn add_sender(&self) {
        // Relaxed, here and below: the clone is made through an end that is still counted.
        // It does not overflow: each end holds an `Arc` as well, whose count aborts before.
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
            // A destructor may be long, or use this channel: the lock is not held here. If one panics the rest is leaked:
            // a second panic would abort.
            let mut left = ManuallyDrop::new(self.meeting.lock().take_all());
            while let Some(message) = left.pop_front() {
                drop(message);
            }
            drop(ManuallyDrop::into_inner(left));
        }
    }

    /// Wakes everybody. A sender finds its message still in its node, a receiver finds none.
    fn disconnect(&self) {
        self.meeting.lock().disconnect();
        wait_list::wake_up_to(&self.meeting, Meeting::senders, usize::MAX);
        wait_list::wake_up_to(&self.meeting, Meeting::receivers, usize::MAX);
        self.wake_watchers();
    }

    /// Messages in the buffer.
    pub(super) fn len(&self) -> usize {
        park::spend(Cost::Call);
        self.meeting.lock().len()
    }

    /// Whether the buffer has no place; `false` for an unbounded channel.
    pub(super) fn is_full(&self) -> bool {
        park::spend(Cost::Call);
        self.capacity.is_some() && !self.meeting.lock().has_place()
    }

    /// Where a `select` begins to look.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// `None` for an unbounded channel.
    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }
}
