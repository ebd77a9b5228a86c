//! An arm: one operation of a `select`, on the stack of whoever selects, or in a [`Select`](super::Select).
//!
//! It knows the type of its messages, which [`Operation`] hides from the select. An arm that has been selected keeps what
//! it got until the operation is completed.

#![expect(unsafe_code, reason = "a select holds several locks at once, and links nodes that it owns")]

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use super::clock::Clock;
use super::error::{RecvError, SendError};
use super::exchange::{Exchange, Refusal};
use super::meeting::{Meeting, Parcel, Pledged};
use crate::park::primitive::{SpinGuard, Waiter, Woken};
use crate::park::wait_list::{End, Node, WaitList};

/// See the module's documentation.
pub struct Arm<'a, T> {
    target: Target<'a, T>,
    node: Node<Parcel<T>>,
    selected: Cell<Option<Selected<T>>>,
    /// A wake-up that is owed once the locks are released.
    woken: Cell<Option<Woken>>,
    /// Whether a change is to be made known then.
    is_watched: Cell<bool>,
}

/// What an arm works on.
pub(super) enum Target<'a, T> {
    Sender(&'a Exchange<T>),
    Receiver(&'a Exchange<T>),
    Clock(&'a Clock<T>),
    /// Never ready.
    Never,
}

/// What an arm was selected with.
pub(super) enum Selected<T> {
    /// A message was received.
    Message(T),
    /// A message was promised.
    Promise,
    /// One message may be sent.
    Place,
    /// The other side is gone.
    Disconnected,
}

/// What a select wants of its arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// That one begins its operation.
    Select,
    /// To know which one could.
    Watch,
}

/// An arm, whatever its messages.
///
/// The **lock** of an operation is that of its channel, which other operations of the same select may share.
pub(super) trait Operation {
    /// A number that varies without a pattern; `None` if this arm has none.
    fn turn(&self) -> Option<usize>;

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

    /// Links the arm for `waiter`, for the channel's other side to select. Also to be delivered.
    ///
    /// # Safety
    ///
    /// As [`unlock`](Self::unlock); and the arm and the waiter stay where they are until [`leave`](Self::leave).
    unsafe fn join(&self, waiter: &Waiter, purpose: Purpose);

    /// Unlinks the arm. Whether the other side has selected it.
    ///
    /// # Safety
    ///
    /// Nobody holds the lock on this thread; the last [`join`](Self::join) was for the same purpose.
    unsafe fn leave(&self, purpose: Purpose) -> bool;

    /// Does what was owed to others while the locks were held.
    fn deliver(&self);

    /// Waits for a message that was promised; `false` if the promise is broken, and the arm no longer selected.
    fn settle(&self) -> bool;
}

impl<'a, T> Arm<'a, T> {
    pub(super) fn new(target: Target<'a, T>) -> Self {
        let parcel = if matches!(target, Target::Sender(_)) { Parcel::Pledge } else { Parcel::Empty };
        Self {
            target,
            node: Node::new(parcel),
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
            (Some(Selected::Place), Target::Sender(exchange)) => exchange.fulfil(message).map_err(SendError),
            _ => Err(SendError(message)),
        }
    }

    fn exchange(&self) -> Option<&'a Exchange<T>> {
        match self.target {
            Target::Sender(exchange) | Target::Receiver(exchange) => Some(exchange),
            Target::Clock(_) | Target::Never => None,
        }
    }

    /// The list in which the arm waits.
    fn list<'m>(&self, meeting: &'m mut Meeting<T>, purpose: Purpose) -> &'m mut WaitList<Parcel<T>> {
        match (purpose, &self.target) {
            (Purpose::Watch, _) => meeting.watchers(),
            (Purpose::Select, Target::Sender(_)) => meeting.senders(),
            (Purpose::Select, _) => meeting.receivers(),
        }
    }

    fn select_with(&self, selected: Selected<T>, woken: Option<Woken>) -> bool {
        self.selected.set(Some(selected));
        self.woken.set(woken);
        true
    }

    fn attempt_in(&self, meeting: &mut Meeting<T>) -> bool {
        let is_selected = if matches!(self.target, Target::Sender(_)) {
            match meeting.pledge() {
                Pledged::Granted(woken) => self.select_with(Selected::Place, woken),
                Pledged::Refused(Refusal::Disconnected) => self.select_with(Selected::Disconnected, None),
                Pledged::Refused(Refusal::Unready) => false,
            }
        } else {
            let mut parcel = Parcel::Empty;
            let woken = meeting.take(&mut parcel);
            match parcel {
                Parcel::Message(message) => self.select_with(Selected::Message(message), woken),
                Parcel::Pledge => self.select_with(Selected::Promise, woken),
                Parcel::Empty if meeting.is_disconnected() => self.select_with(Selected::Disconnected, None),
                Parcel::Empty => false,
            }
        };
        self.is_watched.set(is_selected && meeting.is_watched());
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
    unsafe fn with_kept<R>(exchange: &Exchange<T>, f: impl FnOnce(&mut Meeting<T>) -> R) -> R {
        // SAFETY: this thread has kept the lock, and everyone who resumes it here keeps it again.
        let mut meeting = unsafe { exchange.meeting.resume() };
        let result = f(&mut meeting);
        SpinGuard::keep(meeting);
        result
    }
}

impl<T> Operation for Arm<'_, T> {
    fn turn(&self) -> Option<usize> {
        match self.target {
            Target::Clock(clock) => Some(clock.turn().next()),
            _ => self.exchange().map(|exchange| exchange.turn().next()),
        }
    }

    fn lock_address(&self) -> usize {
        self.exchange().map_or(0, |exchange| std::ptr::from_ref(exchange).addr())
    }

    fn deadline(&self) -> Option<Instant> {
        match self.target {
            Target::Clock(clock) => clock.due(),
            _ => None,
        }
    }

    fn attempt(&self) -> bool {
        let Some(exchange) = self.exchange() else { return self.attempt_clock() };
        let mut meeting = exchange.enter();
        let is_selected = self.attempt_in(&mut meeting);
        drop(meeting);
        if is_selected {
            self.deliver();
        }
        is_selected
    }

    fn lock(&self) {
        if let Some(exchange) = self.exchange() {
            // Without standing back: others may be waiting for the locks that are held already.
            SpinGuard::keep(exchange.meeting.lock());
        }
    }

    unsafe fn unlock(&self) {
        if let Some(exchange) = self.exchange() {
            // SAFETY: the caller's promise.
            drop(unsafe { exchange.meeting.resume() });
        }
    }

    unsafe fn is_ready(&self) -> bool {
        match self.target {
            // SAFETY: the caller's promise.
            Target::Sender(exchange) => unsafe {
                Self::with_kept(exchange, |meeting| meeting.is_ready_to_put())
            },
            Target::Receiver(exchange) => {
                // SAFETY: as above.
                unsafe { Self::with_kept(exchange, |meeting| meeting.is_ready_to_take()) }
            }
            Target::Clock(clock) => clock.is_due(),
            Target::Never => false,
        }
    }

    unsafe fn attempt_locked(&self) -> bool {
        match self.exchange() {
            // SAFETY: the caller's promise.
            Some(exchange) => unsafe { Self::with_kept(exchange, |meeting| self.attempt_in(meeting)) },
            None => self.attempt_clock(),
        }
    }

    unsafe fn join(&self, waiter: &Waiter, purpose: Purpose) {
        let Some(exchange) = self.exchange() else { return };
        let link = |meeting: &mut Meeting<T>| {
            // Without a buffer, one that waits makes the other side ready.
            self.is_watched.set(purpose == Purpose::Select && meeting.is_watched());
            // SAFETY: the arm is in no list, for `leave` ends each wait, and stays alive by the caller's promise.
            unsafe { self.list(meeting, purpose).join(&self.node, waiter, End::Back) };
        };
        // SAFETY: the caller's promise.
        unsafe { Self::with_kept(exchange, link) };
    }

    unsafe fn leave(&self, purpose: Purpose) -> bool {
        let Some(exchange) = self.exchange() else { return false };
        let mut meeting = exchange.enter();
        // SAFETY: the purpose is that of the last `join`, so this is the list that the node was in.
        unsafe { self.list(&mut meeting, purpose).leave(&self.node) };
        drop(meeting);
        if purpose == Purpose::Watch {
            return false;
        }
        let is_sender = matches!(self.target, Target::Sender(_));
        let rest = if is_sender { Parcel::Pledge } else { Parcel::Empty };
        // SAFETY: the node has just left its list.
        let selected = match unsafe { self.node.replace(rest) } {
            Parcel::Message(message) => Selected::Message(message),
            Parcel::Pledge if !is_sender => Selected::Promise,
            Parcel::Empty if is_sender => Selected::Place,
            Parcel::Pledge | Parcel::Empty => return false,
        };
        self.select_with(selected, None)
    }

    fn deliver(&self) {
        if let Some(exchange) = self.exchange() {
            exchange.wake(self.woken.take());
            exchange.announce(self.is_watched.take());
        }
    }

    fn settle(&self) -> bool {
        let selected = match (self.selected.take(), self.exchange()) {
            (Some(Selected::Promise), Some(exchange)) => exchange.collect().map(Selected::Message),
            (selected, _) => selected,
        };
        let is_selected = selected.is_some();
        self.selected.set(selected);
        is_selected
    }
}

impl<T> Drop for Arm<'_, T> {
    fn drop(&mut self) {
        // The message was never made: its making has unwound.
        if let (Some(Selected::Place), Some(exchange)) = (self.selected.take(), self.exchange()) {
            exchange.abandon();
        }
    }
}

impl<T> fmt::Debug for Arm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Arm { .. }")
    }
}
