//! A case: one operation of a `select`, on the stack of the selecting fiber, or in a [`Select`](super::Select).
//!
//! It knows the type of its messages, which [`Operation`] hides from the select loop. A selected case keeps its result
//! until the operation is completed.

#![expect(unsafe_code, reason = "a select holds several locks at once, and links nodes that it owns")]

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use super::clock::Clock;
use super::ends::Ends;
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
    /// A wake-up to deliver once the locks are released.
    wakeup: Cell<Option<Wakeup>>,
    /// Whether to wake the channel's watchers then.
    is_watched: Cell<bool>,
}

/// The end that a case works on.
pub(super) enum Target<'a, T> {
    Sender(&'a Channel<T>),
    Receiver(&'a Channel<T>),
    Clock(&'a Clock<T>),
    /// Never ready.
    Never,
}

/// The result of being selected.
pub(super) enum Selected<T> {
    /// A message was received.
    Message(T),
    /// A message will follow.
    Handoff,
    /// One message may be sent.
    Permit,
    /// The other side is gone.
    Disconnected,
}

/// What a select does with a ready case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Begins its operation.
    Select,
    /// Reports it.
    Watch,
}

/// A case of any message type.
///
/// The **lock** of an operation is that of its channel, which other operations of the same select may share.
pub(super) trait Operation {
    /// A number that varies without a pattern; `None` if this case has none.
    fn seed(&self) -> Option<usize>;

    /// The identity of the lock, and its rank in the order of locking; 0 if there is none.
    fn lock_address(&self) -> usize;

    /// The ends of its channel; `None` if it has none.
    fn ends(&self) -> Option<&Ends>;

    /// When a waiting select must try this case again.
    fn deadline(&self) -> Option<Instant>;

    /// Selects the case if it is ready. Takes the lock itself.
    fn try_select(&self) -> bool;

    /// Takes the lock and keeps it.
    fn lock(&self);

    /// # Safety
    ///
    /// Here and below: this thread holds the lock, by [`lock`](Self::lock) of an operation with the same address.
    unsafe fn unlock(&self);

    /// Whether the case could be selected now.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock).
    unsafe fn is_ready(&self) -> bool;

    /// Selects the case if it is ready. The select calls [`deliver`](Self::deliver) once the locks are released.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock).
    unsafe fn try_select_locked(&self) -> bool;

    /// Links the case for `waiter`, so that the other side can select it. The select then calls [`deliver`](Self::deliver), too.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock); and the case and the waiter stay where they are until [`leave`](Self::leave).
    unsafe fn join(&self, waiter: &Waiter, purpose: Purpose);

    /// Unlinks the case. Returns whether the other side has selected it.
    ///
    /// # Safety
    ///
    /// This thread does not hold the lock, and the last [`join`](Self::join) was for the same purpose.
    unsafe fn leave(&self, purpose: Purpose) -> bool;

    /// Delivers the wake-ups that had to wait for the release of the locks.
    fn deliver(&self);

    /// Waits for the message of a handoff. Returns `false` if it is abandoned; the case is then no longer selected.
    fn resolve_handoff(&self) -> bool;
}

impl<'a, T> Case<'a, T> {
    pub(super) fn new(target: Target<'a, T>) -> Self {
        let packet = if matches!(target, Target::Sender(_)) { Packet::Reservation } else { Packet::Empty };
        Self {
            target,
            node: Node::new(packet),
            selected: Cell::new(None),
            wakeup: Cell::new(None),
            is_watched: Cell::new(false),
        }
    }

    pub(super) fn target(&self) -> &Target<'a, T> {
        &self.target
    }

    /// Takes the result. The case is then no longer selected.
    pub(super) fn take_selected(&self) -> Option<Selected<T>> {
        self.selected.take()
    }

    /// Completes the receive operation that was selected.
    ///
    /// # Errors
    ///
    /// If all senders are gone.
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
    /// If all receivers are gone; the error contains the message.
    #[inline]
    pub fn sent(&self, message: T) -> Result<(), SendError<T>> {
        match (self.take_selected(), &self.target) {
            (Some(Selected::Permit), Target::Sender(channel)) => channel.fulfil(message).map_err(SendError),
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

    fn select_with(&self, selected: Selected<T>, wakeup: Option<Wakeup>) -> bool {
        self.selected.set(Some(selected));
        self.wakeup.set(wakeup);
        true
    }

    fn try_select_in(&self, state: &mut State<T>) -> bool {
        let is_selected = if matches!(self.target, Target::Sender(_)) {
            match state.reserve() {
                Reserved::Granted(wakeup) => self.select_with(Selected::Permit, wakeup),
                Reserved::Refused(Refusal::Disconnected) => self.select_with(Selected::Disconnected, None),
                Reserved::Refused(Refusal::WouldBlock) => false,
            }
        } else {
            let mut packet = Packet::Empty;
            let wakeup = state.take(&mut packet);
            match packet {
                Packet::Message(message) => self.select_with(Selected::Message(message), wakeup),
                Packet::Reservation => self.select_with(Selected::Handoff, wakeup),
                Packet::Empty if state.is_disconnected() => self.select_with(Selected::Disconnected, None),
                Packet::Empty => false,
            }
        };
        self.is_watched.set(is_selected && state.is_watched());
        is_selected
    }

    fn try_select_clock(&self) -> bool {
        let Target::Clock(clock) = self.target else { return false };
        clock.try_receive().is_some_and(|message| self.select_with(Selected::Message(message), None))
    }

    /// Calls `f` under the lock, which this thread holds without a guard, and keeps it held.
    ///
    /// # Safety
    ///
    /// As [`Operation::unlock`].
    unsafe fn with_held_lock<R>(channel: &Channel<T>, f: impl FnOnce(&mut State<T>) -> R) -> R {
        // SAFETY: this thread holds the lock without a guard, and each user of a resumed guard keeps it held.
        let mut state = unsafe { channel.state.resume() };
        let result = f(&mut state);
        SpinGuard::keep(state);
        result
    }
}

impl<T> Operation for Case<'_, T> {
    fn ends(&self) -> Option<&Ends> {
        self.channel().map(|channel| &channel.ends)
    }

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

    fn try_select(&self) -> bool {
        let Some(channel) = self.channel() else { return self.try_select_clock() };
        let mut state = channel.lock();
        let is_selected = self.try_select_in(&mut state);
        drop(state);
        if is_selected {
            self.deliver();
        }
        is_selected
    }

    fn lock(&self) {
        if let Some(channel) = self.channel() {
            // Without backoff: others may be waiting for the locks that are held already.
            SpinGuard::keep(channel.state.lock());
        }
    }

    unsafe fn unlock(&self) {
        if let Some(channel) = self.channel() {
            // SAFETY: the caller's contract.
            drop(unsafe { channel.state.resume() });
        }
    }

    unsafe fn is_ready(&self) -> bool {
        match self.target {
            // SAFETY: the caller's contract.
            Target::Sender(channel) => unsafe {
                Self::with_held_lock(channel, |state| state.is_ready_to_put())
            },
            Target::Receiver(channel) => {
                // SAFETY: as above.
                unsafe { Self::with_held_lock(channel, |state| state.is_ready_to_take()) }
            }
            Target::Clock(clock) => clock.is_due(),
            Target::Never => false,
        }
    }

    unsafe fn try_select_locked(&self) -> bool {
        match self.channel() {
            // SAFETY: the caller's contract.
            Some(channel) => unsafe { Self::with_held_lock(channel, |state| self.try_select_in(state)) },
            None => self.try_select_clock(),
        }
    }

    unsafe fn join(&self, waiter: &Waiter, purpose: Purpose) {
        let Some(channel) = self.channel() else { return };
        let link = |state: &mut State<T>| {
            // Without a buffer, a waiter makes the other side ready.
            self.is_watched.set(purpose == Purpose::Select && state.is_watched());
            // SAFETY: the case is in no list, because `leave` ends each wait, and it stays alive by the caller's contract.
            unsafe { self.list(state, purpose).join(&self.node, waiter, End::Back) };
        };
        // SAFETY: the caller's contract.
        unsafe { Self::with_held_lock(channel, link) };
    }

    unsafe fn leave(&self, purpose: Purpose) -> bool {
        let Some(channel) = self.channel() else { return false };
        let mut state = channel.lock();
        // SAFETY: the last `join` had the same purpose, so this is the list that the node was in.
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
            Packet::Empty if is_sender => Selected::Permit,
            Packet::Reservation | Packet::Empty => return false,
        };
        self.select_with(selected, None)
    }

    fn deliver(&self) {
        if let Some(channel) = self.channel() {
            channel.wake(self.wakeup.take());
            channel.announce(self.is_watched.take());
        }
    }

    fn resolve_handoff(&self) -> bool {
        let selected = match (self.selected.take(), self.channel()) {
            (Some(Selected::Handoff), Some(channel)) => channel.wait_for_handoff().map(Selected::Message),
            (selected, _) => selected,
        };
        let is_selected = selected.is_some();
        self.selected.set(selected);
        is_selected
    }
}

impl<T> Drop for Case<'_, T> {
    fn drop(&mut self) {
        // Making the message has unwound, so it is never sent.
        if let (Some(Selected::Permit), Some(channel)) = (self.selected.take(), self.channel()) {
            channel.abandon();
        }
    }
}

impl<T> fmt::Debug for Case<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Case { .. }")
    }
}
