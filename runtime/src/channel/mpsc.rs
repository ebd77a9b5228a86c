//! std's channels from many senders to one receiver, made of the general ones. Public as `abaca::sync::mpsc`.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

use super as general;

/// An unbounded channel: no send waits. Mirrors [`std::sync::mpsc::channel`].
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = general::unbounded();
    (Sender(sender), Receiver { inner: receiver, not_sync: PhantomData })
}

/// A channel with room for `bound` messages; with 0, every send waits for its receiver. Mirrors
/// [`std::sync::mpsc::sync_channel`].
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (sender, receiver) = general::bounded(bound);
    (SyncSender(sender), Receiver { inner: receiver, not_sync: PhantomData })
}

/// The sending side of [`channel`]. Mirrors [`std::sync::mpsc::Sender`].
pub struct Sender<T>(general::Sender<T>);

/// The sending side of [`sync_channel`]. Mirrors [`std::sync::mpsc::SyncSender`].
pub struct SyncSender<T>(general::Sender<T>);

/// The receiving side, of which there is one. Mirrors [`std::sync::mpsc::Receiver`].
///
/// It moves between threads and is not shared by them, as std's:
///
/// ```compile_fail
/// fn is_sync<T: Sync>(_: T) {}
/// is_sync(abaca::sync::mpsc::channel::<()>().1);
/// ```
pub struct Receiver<T> {
    inner: general::Receiver<T>,
    /// `Send` and not `Sync`.
    not_sync: PhantomData<Cell<()>>,
}

// The cell that it has for its auto traits holds nothing.
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends a message. Never waits.
    ///
    /// # Errors
    ///
    /// The message, if the receiver is gone.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.0.send(t).map_err(|error| SendError(error.into_inner()))
    }
}

impl<T> SyncSender<T> {
    /// Sends a message, waiting until there is room.
    ///
    /// # Errors
    ///
    /// The message, if the receiver is gone.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.0.send(t).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends a message if there is room (or, without a buffer, if the receiver waits).
    ///
    /// # Errors
    ///
    /// The message, if there is no room or the receiver is gone.
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(t).map_err(|error| match error {
            general::TrySendError::Full(message) => TrySendError::Full(message),
            general::TrySendError::Disconnected(message) => TrySendError::Disconnected(message),
        })
    }
}

impl<T> Receiver<T> {
    /// Takes the next message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// If there is none, and all senders are gone.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.inner.recv().map_err(|_| RecvError)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// If there is none, now or for ever.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.inner.try_recv().map_err(|error| match error {
            general::TryRecvError::Empty => TryRecvError::Empty,
            general::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Takes the next message, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If there is none in time, or none and all senders are gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.inner.recv_timeout(timeout).map_err(|error| match error {
            general::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
            general::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// The messages until all senders are gone; waits for each.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// The messages that are there; never waits.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'a>(&'a Receiver<T>);

/// See [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: 'a>(&'a Receiver<T>);

/// An iterator over the messages of a receiver that it owns.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}
