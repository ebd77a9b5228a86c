//! One channel: a state under its lock, the numbers of its ends, and how an end waits.
//!
//! The lock is held for a few instructions. At any time a message is owned by one of these, which drops it: its sender's
//! frame, a node, the buffer, its receiver's frame. Neither user code (a destructor) nor a system call (of a
//! wake-up) runs under the lock.

use std::time::Instant;

use super::ends::Ends;
use super::select_seed::SelectSeed;
use super::spin::{SPINS, spin_rounds};
use super::state::{Packet, State};
use crate::atomic::{AtomicBool, Backoff, Ordering};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Bias, Cost, SpinGuard, SpinLock, Wakeup};
use crate::park::wait_list::{self, End};
use crate::queue::AdaptiveSpin;

/// See the module's documentation.
pub(super) struct Channel<T> {
    capacity: Option<usize>,
    pub(super) state: SpinLock<State<T>, Bias>,
    pub(super) ends: Ends,
    /// Whether the fiber or thread that was woken last runs on another thread than its waker.
    peer_is_remote: AtomicBool,
    /// Whether spinning before parking pays.
    spin: AdaptiveSpin<64>,
    /// Seeds for the order in which a `select` tries its cases.
    seed: SelectSeed,
}

pub(super) type Locked<'a, T> = SpinGuard<'a, State<T>, Bias>;

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    /// Not at all.
    Never,
    /// Until the deadline; `None` is forever.
    Until(Option<Instant>),
}

impl Block {
    pub(super) fn cost(self) -> Cost {
        match self {
            Self::Never => Cost::Call,
            Self::Until(_) => Cost::Wait,
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It would have to wait, or to wait longer.
    WouldBlock,
    /// The other side is gone.
    Disconnected,
}

/// Backoff (in spin hints) when the lock is taken. With it two cores take turns of many messages each, instead of passing
/// the lock's cache line to and fro for every message.
const LOCK_BACKOFF: &[u32] = &[8, 16, 32, 64];

impl<T> Channel<T> {
    /// How far the ends are from the start of an `Arc` with a channel: behind its two counts, and within the channel.
    const ENDS: usize = {
        let counts = 2 * size_of::<usize>();
        let align = align_of::<Self>();
        (if align > counts { align } else { counts }) + std::mem::offset_of!(Self, ends)
    };

    /// A channel with one sender and one receiver.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            capacity,
            state: SpinLock::with_bias(State::new(capacity)),
            ends: Ends::new(Self::ENDS),
            peer_is_remote: AtomicBool::new(false),
            spin: AdaptiveSpin::new(),
            seed: SelectSeed::new(),
        }
    }

    /// Sends `message`, or returns it.
    #[inline]
    pub(super) fn send(&self, message: T, block: Block) -> Result<(), (Refusal, T)> {
        park::spend_as(|| if self.capacity.is_none() { Cost::Call } else { block.cost() });
        let mut state = self.lock();
        match state.push(message) {
            Ok(()) => Ok(()),
            Err(message) => self.send_to_other(state, message, block),
        }
    }

    /// Receives a message.
    #[inline]
    pub(super) fn receive(&self, block: Block) -> Result<T, Refusal> {
        park::spend_as(|| block.cost());
        let mut state = self.lock();
        if let Some(message) = state.pop() {
            return Ok(message);
        }
        let (state, deadline) = match block {
            Block::Until(deadline) if state.has_nothing() => (state, deadline),
            _ => match self.receive_from_other(state, block) {
                Ok(result) => return result,
                Err(refused) => refused,
            },
        };
        // Here, where nothing of the attempt is left on the stack: those who wait are many.
        self.wait_to_receive(state, deadline)
    }

    /// Sends to a waiting receiver, or waits.
    #[inline(never)]
    fn send_to_other(&self, state: Locked<'_, T>, message: T, block: Block) -> Result<(), (Refusal, T)> {
        let mut packet = Packet::Message(message);
        let refused = self.put(state, &mut packet);
        match (refused, block) {
            (None, _) => Ok(()),
            (Some(state), Block::Until(deadline)) if !state.is_disconnected() => {
                self.wait_to_send(state, packet, deadline)
            }
            (Some(state), _) => {
                let refusal = state.refusal();
                drop(state);
                park::spend(Cost::TryFailed);
                Err((refusal, packet.unwrap_message()))
            }
        }
    }

    /// Receives from a waiting sender. If the caller has to wait, returns the lock, still held, and until when.
    #[inline(never)]
    fn receive_from_other<'a>(
        &'a self,
        state: Locked<'a, T>,
        block: Block,
    ) -> Result<Result<T, Refusal>, (Locked<'a, T>, Option<Instant>)> {
        let mut packet = Packet::Empty;
        let refused = self.take(state, &mut packet);
        Ok(match (packet, refused, block) {
            (Packet::Message(message), ..) => Ok(message),
            (_, None, _) => self.receive_handoff(block),
            (_, Some(state), Block::Until(deadline)) if !state.is_disconnected() => {
                return Err((state, deadline));
            }
            (_, Some(state), _) => {
                let refusal = state.refusal();
                drop(state);
                park::spend(Cost::TryFailed);
                Err(refusal)
            }
        })
    }

    /// Sends the message in `packet`. If that is not possible, returns the lock, still held.
    #[inline(always)]
    fn put<'a>(&'a self, mut state: Locked<'a, T>, packet: &mut Packet<T>) -> Option<Locked<'a, T>> {
        let wakeup = state.put(packet);
        if let Packet::Message(_) = packet {
            return Some(state);
        }
        self.unlock_and_wake(state, wakeup);
        None
    }

    /// Receives a message or a reservation into `packet`. If that is not possible, returns the lock, still held.
    #[inline(always)]
    fn take<'a>(&'a self, mut state: Locked<'a, T>, packet: &mut Packet<T>) -> Option<Locked<'a, T>> {
        let wakeup = state.take(packet);
        if let Packet::Empty = packet {
            return Some(state);
        }
        self.unlock_and_wake(state, wakeup);
        None
    }

    /// Returns a message that was handed to a receiver that is gone.
    #[cold]
    pub(super) fn put_back(&self, message: T) {
        let mut state = self.lock();
        let wakeup = state.put_back(&mut Packet::Message(message));
        self.unlock_and_wake(state, wakeup);
    }

    #[cold]
    fn wait_to_send<'a>(
        &'a self,
        mut state: Locked<'a, T>,
        mut packet: Packet<T>,
        deadline: Option<Instant>,
    ) -> Result<(), (Refusal, T)> {
        if self.should_spin() {
            let mut backoff = Backoff::new(SPINS);
            for _ in 0..spin_rounds() {
                drop(state);
                backoff.pause();
                match self.put(self.lock(), &mut packet) {
                    Some(refused) => state = refused,
                    None => {
                        self.spin.succeeded();
                        return Ok(());
                    }
                }
                if state.is_disconnected() {
                    return Err((Refusal::Disconnected, packet.unwrap_message()));
                }
            }
            self.spin.failed();
        }
        let is_watched = state.is_watched();
        let (outcome, packet) = wait_list::wait(
            state,
            State::senders,
            End::Back,
            packet,
            Reason::ChannelSend.of(&self.ends),
            deadline,
            || self.announce(is_watched),
        );
        match (outcome, packet) {
            (Outcome::Notified, Packet::Message(message)) => Err((Refusal::Disconnected, message)),
            (Outcome::Notified, _taken) => Ok(()),
            // The deadline's claim came first, so no receiver has taken the message.
            (Outcome::TimedOut, Packet::Message(message)) => Err((Refusal::WouldBlock, message)),
            // Likewise. The message is dropped here.
            (Outcome::Cancelled, _message) => park::unwind(),
            (Outcome::TimedOut, _taken) => unreachable!("only a claim takes a waiting sender's message"),
        }
    }

    #[cold]
    fn wait_to_receive<'a>(
        &'a self,
        mut state: Locked<'a, T>,
        deadline: Option<Instant>,
    ) -> Result<T, Refusal> {
        if self.should_spin() {
            match self.spin_to_receive(state, deadline) {
                Ok(result) => return result,
                Err(refused) => state = refused,
            }
        }
        let is_watched = state.is_watched();
        let (outcome, packet) = wait_list::wait(
            state,
            State::receivers,
            End::Back,
            Packet::Empty,
            Reason::ChannelReceive.of(&self.ends),
            deadline,
            || self.announce(is_watched),
        );
        match (outcome, packet) {
            (Outcome::Notified, Packet::Message(message)) => Ok(message),
            (Outcome::Notified, Packet::Reservation) => self.receive_handoff(Block::Until(deadline)),
            (Outcome::Notified, Packet::Empty) => Err(Refusal::Disconnected),
            // The claim of the deadline or of the cancellation came first. A sender that had put its message into the
            // node took it back when its own claim failed.
            (Outcome::TimedOut, _none) => Err(Refusal::WouldBlock),
            (Outcome::Cancelled, _none) => park::unwind(),
        }
    }

    /// Looks for a message a few times more. If there is none, returns the lock, still held. Not inlined, so that nothing of it is
    /// part of the frame in which the caller waits.
    #[inline(never)]
    fn spin_to_receive<'a>(
        &'a self,
        mut state: Locked<'a, T>,
        deadline: Option<Instant>,
    ) -> Result<Result<T, Refusal>, Locked<'a, T>> {
        let mut backoff = Backoff::new(SPINS);
        for _ in 0..spin_rounds() {
            drop(state);
            backoff.pause();
            let mut packet = Packet::Empty;
            match (self.take(self.lock(), &mut packet), packet) {
                (Some(refused), _) => state = refused,
                (None, Packet::Message(message)) => {
                    self.spin.succeeded();
                    return Ok(Ok(message));
                }
                (None, _reservation) => return Ok(self.receive_handoff(Block::Until(deadline))),
            }
            if state.is_disconnected() {
                return Ok(Err(Refusal::Disconnected));
            }
        }
        self.spin.failed();
        Err(state)
    }

    /// Releases the lock after a change, delivers the wake-up, and wakes the watchers.
    #[inline(always)]
    pub(super) fn unlock_and_wake(&self, state: Locked<'_, T>, wakeup: Option<Wakeup>) {
        let is_watched = state.is_watched();
        drop(state);
        self.wake(wakeup);
        self.announce(is_watched);
    }

    /// Wakes the watchers, if there are any. The lock is not held.
    #[inline]
    pub(super) fn announce(&self, is_watched: bool) {
        if is_watched {
            self.wake_watchers();
        }
    }

    #[cold]
    pub(super) fn wake_watchers(&self) {
        wait_list::wake_up_to(&self.state, State::watchers, usize::MAX);
    }

    /// Delivers a wake-up, and remembers whether it went to another thread.
    #[inline]
    pub(super) fn wake(&self, wakeup: Option<Wakeup>) {
        let Some(wakeup) = wakeup else { return };
        let is_remote = park::wake_and_tell(wakeup);
        // A store of the same value would still take the cache line away from the other core, so compare first.
        if self.peer_is_remote.load(Ordering::Relaxed) != is_remote {
            self.peer_is_remote.store(is_remote, Ordering::Relaxed);
        }
    }

    /// Whether to spin before parking (`spin.rs` says for how long). Two plain threads that meet without a buffer do not spin:
    /// each would look for the other, which is absent while it spins. They wait at once, and stay awake in the wait.
    fn should_spin(&self) -> bool {
        if self.capacity == Some(0) && !park::on_fiber() {
            return false;
        }
        self.peer_is_remote.load(Ordering::Relaxed) && park::is_alone() && self.spin.should_spin()
    }

    /// Takes the lock.
    #[inline]
    pub(super) fn lock(&self) -> Locked<'_, T> {
        match self.state.try_lock_by_bias() {
            Some(state) => state,
            None => self.lock_contended(),
        }
    }

    #[cold]
    fn lock_contended(&self) -> Locked<'_, T> {
        let mut backoff = Backoff::new(LOCK_BACKOFF);
        while !backoff.is_used_up() {
            backoff.pause();
            if let Some(state) = self.state.try_lock() {
                return state;
            }
        }
        self.state.lock()
    }

    /// Number of messages in the buffer.
    pub(super) fn len(&self) -> usize {
        park::spend(Cost::Call);
        self.state.lock().len()
    }

    /// Whether the buffer has no free slot; `false` for an unbounded channel.
    pub(super) fn is_full(&self) -> bool {
        park::spend(Cost::Call);
        self.capacity.is_some() && !self.state.lock().has_room()
    }

    /// Seeds for the order in which a `select` tries its cases.
    pub(super) fn seed(&self) -> &SelectSeed {
        &self.seed
    }

    /// `None` for an unbounded channel.
    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }
}
