//! An case: one operation of a `select`, on the stack of whoever selects, or in a [`Select`](super::Select).
//!
//! It knows the type of its messages, which [`Operation`] hides from the select. An case that has been selected keeps what
//! it got until the operation is completed.

#![expect(unsafe_code, reason = "a select holds several locks at once, and links nodes that it owns")]

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use super::clock::Clock;
use super::error::{RecvError, SendError};
use super::shared::{Channel, Refusal};
use super::state::{Packet, Reserved, State};
use crate::park::primitive::{SpinGuard, Waiter, Wakeup};
use crate::park::wait_list::{End, Node, WaitList};

/// See the module's documentation.
pub struct Case<'a, T> {
    target: Target<'a, T>,
    node: Node<Packet<T>>,
    selected: Cell<Option<Selected<T>>>,
    /// A wake-up that is owed once the locks are released.
    woken: Cell<Option<Wakeup>>,
    /// Whether a change is to be made known then.
    is_watched: Cell<bool>,
}

/// What an case works on.
pub(super) enum Target<'a, T> {
    Sender(&'a Channel<T>),
    Receiver(&'a Channel<T>),
    Clock(&'a Clock<T>),
    /// Never ready.
    Never,
}

/// What an case was selected with.
pub(super) enum Selected<T> {
    /// A message was received.
    Message(T),
    /// A message was promised.
    Handoff,
    /// One message may be sent.
    Place,
    /// The other side is gone.
    Disconnected,
}

/// What a select wants of its cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// That one begins its operation.
    Select,
    /// To know which one could.
    Watch,
}

/// An case, whatever its messages.
///
/// The **lock** of an operation is that of its channel, which other operations of the same select may share.
pub(super) trait Operation {
    /// A number that varies without a pattern; `None` if this case has none.
    fn seed(&self) -> Option<usize>;

    /// What tells locks apart and orders them; 0 if there is none.
    fn lock_address(&self) -> usize;

    /// When to look again.
    fn deadline(&self) -> Option<Instant>;

    /// Whether it is selected now. Takes the lock for itself.
    fn attempt(&self) -> bool;

    /// Takes the lock and keeps it.
    fn lock(&self);

    /// # Safety
    ///
    /// Here and below: this thread holds the lock, by [`lock`](Self::lock) of an operation with the same address.
    unsafe fn unlock(&self);

    /// Whether it could be selected now.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock).
    unsafe fn is_ready(&self) -> bool;

    /// Whether it is selected now. The select calls [`deliver`](Self::deliver) once the locks are released.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock).
    unsafe fn attempt_locked(&self) -> bool;

    /// Links the case for `waiter`, for the channel's other side to select. Also to be delivered.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock); and the case and the waiter stay where they are until [`leave`](Self::leave).
    unsafe fn join(&self, waiter: &Waiter, purpose: Purpose);

    /// Unlinks the case. Whether the other side has selected it.
    ///
    /// # Safety
    ///
    /// Nobody holds the lock on this thread; the last [`join`](Self::join) was for the same purpose.
    unsafe fn leave(&self, purpose: Purpose) -> bool;

    /// Does what was owed to others while the locks were held.
    fn deliver(&self);

    /// Waits for a message that was promised; `false` if the promise is broken, and the case no longer selected.
    fn settle(&self) -> bool;
}

impl<'a, T> Case<'a, T> {
    pub(super) fn new(target: Target<'a, T>) -> Self {
        let packet = if matches!(target, Target::Sender(_)) { Packet::Reservation } else { Packet::Empty };
        Self {
            target,
            node: Node::new(packet),
            selected: Cell::new(None),
            woken: Cell::new(None),
            is_watched: Cell::new(false),
        }
    }

    pub(super) fn target(&self) -> &Target<'a, T> {
        &self.target
    }

    /// What it was selected with; it is no longer selected.
    pub(super) fn take_selected(&self) -> Option<Selected<T>> {
        self.selected.take()
    }

    /// Completes the receive operation that was selected.
    ///
    /// # Errors
    ///
    /// When all senders are gone.
    #[inline]
    pub fn received(&self) -> Result<T, RecvError> {
        match self.take_selected() {
            Some(Selected::Message(message)) => Ok(message),
            _ => Err(RecvError),
        }
    }

    /// Completes the send operation that was selected.
    ///
    /// # Errors
    ///
    /// When all receivers are gone.
    #[inline]
    pub fn sent(&self, message: T) -> Result<(), SendError<T>> {
        match (self.take_selected(), &self.target) {
            (Some(Selected::Place), Target::Sender(channel)) => channel.fulfil(message).map_err(SendError),
            _ => Err(SendError(message)),
        }
    }

    fn channel(&self) -> Option<&'a Channel<T>> {
        match self.target {
            Target::Sender(channel) | Target::Receiver(channel) => Some(channel),
            Target::Clock(_) | Target::Never => None,
        }
    }

    /// The list in which the case waits.
    fn list<'m>(&self, state: &'m mut State<T>, purpose: Purpose) -> &'m mut WaitList<Packet<T>> {
        match (purpose, &self.target) {
            (Purpose::Watch, _) => state.watchers(),
            (Purpose::Select, Target::Sender(_)) => state.senders(),
            (Purpose::Select, _) => state.receivers(),
        }
    }

    fn select_with(&self, selected: Selected<T>, woken: Option<Wakeup>) -> bool {
        self.selected.set(Some(selected));
        self.woken.set(woken);
        true
    }

    fn attempt_in(&self, state: &mut State<T>) -> bool {
        let is_selected = if matches!(self.target, Target::Sender(_)) {
            match state.reserve() {
                Reserved::Granted(woken) => self.select_with(Selected::Place, woken),
                Reserved::Refused(Refusal::Disconnected) => self.select_with(Selected::Disconnected, None),
                Reserved::Refused(Refusal::WouldBlock) => false,
            }
        } else {
            let mut packet = Packet::Empty;
            let woken = state.take(&mut packet);
            match packet {
                Packet::Message(message) => self.select_with(Selected::Message(message), woken),
                Packet::Reservation => self.select_with(Selected::Handoff, woken),
                Packet::Empty if state.is_disconnected() => self.select_with(Selected::Disconnected, None),
                Packet::Empty => false,
            }
        };
        self.is_watched.set(is_selected && state.is_watched());
        is_selected
    }

    fn attempt_clock(&self) -> bool {
        let Target::Clock(clock) = self.target else { return false };
        clock.try_receive().is_some_and(|message| self.select_with(Selected::Message(message), None))
    }

    /// Calls `f` under the lock that this thread keeps.
    ///
    /// # Safety
    ///
    /// As [`Operation::unlock`].
    unsafe fn with_kept<R>(channel: &Channel<T>, f: impl FnOnce(&mut State<T>) -> R) -> R {
        // SAFETY: this thread has kept the lock, and everyone who resumes it here keeps it again.
        let mut state = unsafe { channel.state.resume() };
        let result = f(&mut state);
        SpinGuard::keep(state);
        result
    }
}

impl<T> Operation for Case<'_, T> {
    fn seed(&self) -> Option<usize> {
        match self.target {
            Target::Clock(clock) => Some(clock.seed().next()),
            _ => self.channel().map(|channel| channel.seed().next()),
        }
    }

    fn lock_address(&self) -> usize {
        self.channel().map_or(0, |channel| std::ptr::from_ref(channel).addr())
    }

    fn deadline(&self) -> Option<Instant> {
        match self.target {
            Target::Clock(clock) => clock.due(),
            _ => None,
        }
    }

    fn attempt(&self) -> bool {
        let Some(channel) = self.channel() else { return self.attempt_clock() };
        let mut state = channel.enter();
        let is_selected = self.attempt_in(&mut state);
        drop(state);
        if is_selected {
            self.deliver();
        }
        is_selected
    }

    fn lock(&self) {
        if let Some(channel) = self.channel() {
            // Without standing back: others may be waiting for the locks that are held already.
            SpinGuard::keep(channel.state.lock());
        }
    }

    unsafe fn unlock(&self) {
        if let Some(channel) = self.channel() {
            // SAFETY: the caller's promise.
            drop(unsafe { channel.state.resume() });
        }
    }

    unsafe fn is_ready(&self) -> bool {
        match self.target {
            // SAFETY: the caller's promise.
            Target::Sender(channel) => unsafe { Self::with_kept(channel, |state| state.is_ready_to_put()) },
            Target::Receiver(channel) => {
                // SAFETY: as above.
                unsafe { Self::with_kept(channel, |state| state.is_ready_to_take()) }
            }
            Target::Clock(clock) => clock.is_due(),
            Target::Never => false,
        }
    }

    unsafe fn attempt_locked(&self) -> bool {
        match self.channel() {
            // SAFETY: the caller's promise.
            Some(channel) => unsafe { Self::with_kept(channel, |state| self.attempt_in(state)) },
            None => self.attempt_clock(),
        }
    }

    unsafe fn join(&self, waiter: &Waiter, purpose: Purpose) {
        let Some(channel) = self.channel() else { return };
        let link = |state: &mut State<T>| {
            // Without a buffer, one that waits makes the other side ready.
            self.is_watched.set(purpose == Purpose::Select && state.is_watched());
            // SAFETY: the case is in no list, for `leave` ends each wait, and stays alive by the caller's promise.
            unsafe { self.list(state, purpose).join(&self.node, waiter, End::Back) };
        };
        // SAFETY: the caller's promise.
        unsafe { Self::with_kept(channel, link) };
    }

    unsafe fn leave(&self, purpose: Purpose) -> bool {
        let Some(channel) = self.channel() else { return false };
        let mut state = channel.enter();
        // SAFETY: the purpose is that of the last `join`, so this is the list that the node was in.
        unsafe { self.list(&mut state, purpose).leave(&self.node) };
        drop(state);
        if purpose == Purpose::Watch {
            return false;
        }
        let is_sender = matches!(self.target, Target::Sender(_));
        let rest = if is_sender { Packet::Reservation } else { Packet::Empty };
        // SAFETY: the node has just left its list.
        let selected = match unsafe { self.node.replace(rest) } {
            Packet::Message(message) => Selected::Message(message),
            Packet::Reservation if !is_sender => Selected::Handoff,
            Packet::Empty if is_sender => Selected::Place,
            Packet::Reservation | Packet::Empty => return false,
        };
        self.select_with(selected, None)
    }

    fn deliver(&self) {
        if let Some(channel) = self.channel() {
            channel.wake(self.woken.take());
            channel.announce(self.is_watched.take());
        }
    }

    fn settle(&self) -> bool {
        let selected = match (self.selected.take(), self.channel()) {
            (Some(Selected::Handoff), Some(channel)) => channel.collect().map(Selected::Message),
            (selected, _) => selected,
        };
        let is_selected = selected.is_some();
        self.selected.set(selected);
        is_selected
    }
}

impl<T> Drop for Case<'_, T> {
    fn drop(&mut self) {
        // The message was never made: its making has unwound.
        if let (Some(Selected::Place), Some(channel)) = (self.selected.take(), self.channel()) {
            channel.abandon();
        }
    }
}

impl<T> fmt::Debug for Case<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Case { .. }")
    }
}
