//! An operation that a [`Select`](super::Select) has begun, and its completion.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::case::{Case, Operation, Selected, Target};
use super::error::{RecvError, SendError};
use super::receiver::Receiver;
use super::select_loop;
use super::sender::Sender;

/// An end of a channel, whatever its messages.
pub(super) trait Selectable {
    fn case(&self) -> Box<dyn StoredCase + '_>;

    /// Its operation was selected, and will not be completed.
    fn abandon(&self);

    /// What tells it from other ends.
    fn address(&self) -> *const u8;
}

/// An case whose completion comes from elsewhere.
pub(super) trait StoredCase: Operation {
    /// Leaves what the case was selected with in the channel, for the completion. The case is as new.
    fn set_aside(&self) -> Completion;

    fn as_operation(&self) -> &dyn Operation;
}

/// What is left to be done about a selected operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// Take the message that is set aside.
    Take,
    /// Send a message.
    Send,
    /// Fail.
    Fail,
}

/// An operation that was selected and is to be completed, by [`send`](Self::send) or [`recv`](Self::recv).
///
/// # Panics
///
/// When it is dropped without having been completed, unless that is because the thread unwinds.
#[must_use = "a selected operation is to be completed"]
pub struct SelectedOperation<'a> {
    end: &'a (dyn Selectable + 'a),
    index: usize,
    completion: Completion,
}

// Nothing can be seen through it that a panic could leave half-changed.
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
    /// When all receivers are gone; the error contains the message.
    ///
    /// # Panics
    ///
    /// When this is not the sender that was selected.
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
    /// When the channel is empty and all senders are gone.
    ///
    /// # Panics
    ///
    /// When this is not the receiver that was selected.
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
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(receiver.address() == self.end.address(), "passed a receiver that wasn't selected");
        match self.complete() {
            Completion::Take => receiver.take_aside().ok_or(RecvError),
            Completion::Send | Completion::Fail => Err(RecvError),
        }
    }

    /// Nothing is left to be done by the destructor.
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

    /// The message stays set aside.
    fn abandon(&self) {}

    fn address(&self) -> *const u8 {
        std::ptr::from_ref(self).cast()
    }
}

impl<T> StoredCase for Case<'_, T> {
    fn set_aside(&self) -> Completion {
        match (self.take_selected(), self.target()) {
            (Some(Selected::Message(message)), Target::Receiver(channel)) => {
                channel.enter().set_aside(message);
                Completion::Take
            }
            (Some(Selected::Message(message)), Target::Clock(clock)) => {
                clock.set_aside(message);
                Completion::Take
            }
            (Some(Selected::Place), _) => Completion::Send,
            _ => Completion::Fail,
        }
    }

    fn as_operation(&self) -> &dyn Operation {
        self
    }
}
