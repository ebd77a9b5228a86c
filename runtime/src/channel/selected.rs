//! An operation that a [`Select`](super::Select) has selected, and its completion.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::case::{Case, Operation, Selected, Target};
use super::error::{RecvError, SendError};
use super::receiver::Receiver;
use super::select_loop;
use super::sender::Sender;

/// An end of a channel, of any message type.
pub(super) trait Selectable {
    fn case(&self) -> Box<dyn StoredCase + '_>;

    /// Its operation was selected, and is never completed.
    fn abandon(&self);

    /// The identity of the end.
    fn address(&self) -> *const u8;
}

/// A case that is completed by a later call.
pub(super) trait StoredCase: Operation {
    /// Leaves the result of being selected in the channel, for the completion. The case can then be selected again.
    fn set_aside(&self) -> Completion;

    fn as_operation(&self) -> &dyn Operation;
}

/// The second half of a selected operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// Take the message that is set aside.
    Take,
    /// Send a message.
    Send,
    /// Fail.
    Fail,
}

/// A selected operation, which must be completed by [`send`](Self::send) or [`recv`](Self::recv).
///
/// # Panics
///
/// Dropping it without completing it panics, unless the thread is already unwinding.
#[must_use = "a selected operation must be completed"]
pub struct SelectedOperation<'a> {
    end: &'a (dyn Selectable + 'a),
    index: usize,
    completion: Completion,
}

// A panic cannot leave anything half-changed that can be seen through it.
impl UnwindSafe for SelectedOperation<'_> {}
impl RefUnwindSafe for SelectedOperation<'_> {}

impl<'a> SelectedOperation<'a> {
    pub(super) fn new(end: &'a (dyn Selectable + 'a), index: usize, completion: Completion) -> Self {
        Self { end, index, completion }
    }

    /// The index of the operation.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send operation.
    ///
    /// # Errors
    ///
    /// If all receivers are gone; the error contains the message.
    ///
    /// # Panics
    ///
    /// If `sender` is not the sender that was selected.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, Select, SendError};
    ///
    /// let (sender, receiver) = channel::bounded(0);
    /// drop(receiver);
    /// let mut select = Select::new();
    /// select.send(&sender);
    /// assert_eq!(select.select().send(&sender, 1), Err(SendError(1)));
    /// ```
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        assert!(sender.address() == self.end.address(), "passed a sender that wasn't selected");
        match self.complete() {
            Completion::Send => sender.channel.fulfil(message).map_err(SendError),
            Completion::Take | Completion::Fail => Err(SendError(message)),
        }
    }

    /// Completes a receive operation.
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone.
    ///
    /// # Panics
    ///
    /// If `receiver` is not the receiver that was selected.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, RecvError, Select};
    ///
    /// let (sender, receiver) = channel::bounded::<()>(0);
    /// drop(sender);
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.select().recv(&receiver), Err(RecvError));
    /// ```
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(receiver.address() == self.end.address(), "passed a receiver that wasn't selected");
        match self.complete() {
            Completion::Take => receiver.take_aside().ok_or(RecvError),
            Completion::Send | Completion::Fail => Err(RecvError),
        }
    }

    /// Skips the destructor.
    fn complete(self) -> Completion {
        ManuallyDrop::new(self).completion
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        if self.completion == Completion::Send {
            self.end.abandon();
        }
        if !std::thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl<T> Selectable for Sender<T> {
    fn case(&self) -> Box<dyn StoredCase + '_> {
        Box::new(select_loop::sending(self))
    }

    fn abandon(&self) {
        self.channel.abandon();
    }

    fn address(&self) -> *const u8 {
        std::ptr::from_ref(self).cast()
    }
}

impl<T> Selectable for Receiver<T> {
    fn case(&self) -> Box<dyn StoredCase + '_> {
        Box::new(select_loop::receiving(self))
    }

    /// Does nothing: the message stays set aside.
    fn abandon(&self) {}

    fn address(&self) -> *const u8 {
        std::ptr::from_ref(self).cast()
    }
}

impl<T> StoredCase for Case<'_, T> {
    fn set_aside(&self) -> Completion {
        match (self.take_selected(), self.target()) {
            (Some(Selected::Message(message)), Target::Receiver(channel)) => {
                channel.lock().set_aside(message);
                Completion::Take
            }
            (Some(Selected::Message(message)), Target::Clock(clock)) => {
                clock.set_aside(message);
                Completion::Take
            }
            (Some(Selected::Permit), _) => Completion::Send,
            _ => Completion::Fail,
        }
    }

    fn as_operation(&self) -> &dyn Operation {
        self
    }
}
