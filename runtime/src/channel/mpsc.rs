//! std's channels from many senders to one receiver, made of the general ones. Public as `abaca::sync::mpsc`.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

use super as general;

/// Creates an unbounded channel: a send never waits. Mirrors [`std::sync::mpsc::channel`].
///
/// ```
/// let (sender, receiver) = abaca::sync::mpsc::channel();
/// sender.send(1).unwrap();
/// drop(sender);
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = general::unbounded();
    (Sender(sender), Receiver { inner: receiver, not_sync: PhantomData })
}

/// Creates a channel with room for `bound` messages. If `bound` is 0, every send waits until the receiver takes the
/// message. Mirrors [`std::sync::mpsc::sync_channel`].
///
/// ```
/// let (sender, receiver) = abaca::sync::mpsc::sync_channel(1);
/// sender.send(1).unwrap();
/// assert!(sender.try_send(2).is_err());
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (sender, receiver) = general::bounded(bound);
    (SyncSender(sender), Receiver { inner: receiver, not_sync: PhantomData })
}

/// The sending side of [`channel`]. Mirrors [`std::sync::mpsc::Sender`].
pub struct Sender<T>(general::Sender<T>);

/// The sending side of [`sync_channel`]. Mirrors [`std::sync::mpsc::SyncSender`].
pub struct SyncSender<T>(general::Sender<T>);

/// The receiving side; a channel has one. Mirrors [`std::sync::mpsc::Receiver`].
///
/// As with std's, threads can send it to each other and cannot share it:
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

// The `Cell` only decides the auto traits and holds nothing.
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends a message. Never waits.
    ///
    /// # Errors
    ///
    /// If the receiver is gone; the error contains the message.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.0.send(t).map_err(|error| SendError(error.into_inner()))
    }
}

impl<T> SyncSender<T> {
    /// Sends a message, waiting until there is room.
    ///
    /// # Errors
    ///
    /// If the receiver is gone; the error contains the message.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.0.send(t).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends a message if there is room, or, without a buffer, if the receiver is waiting.
    ///
    /// # Errors
    ///
    /// Each error contains the message:
    ///
    /// * [`TrySendError::Full`]: there is no room.
    /// * [`TrySendError::Disconnected`]: the receiver is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::TrySendError;
    ///
    /// let (sender, _receiver) = abaca::sync::mpsc::sync_channel(1);
    /// sender.send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(t).map_err(|error| match error {
            general::TrySendError::Full(message) => TrySendError::Full(message),
            general::TrySendError::Disconnected(message) => TrySendError::Disconnected(message),
        })
    }
}

impl<T> Receiver<T> {
    /// Receives a message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// If there is no message and all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::sync::mpsc::channel();
    /// std::thread::spawn(move || sender.send(1).unwrap());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert!(receiver.recv().is_err());
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
        self.inner.recv().map_err(|_| RecvError)
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// * [`TryRecvError::Empty`]: there is no message now.
    /// * [`TryRecvError::Disconnected`]: there is no message and all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::TryRecvError;
    ///
    /// let (sender, receiver) = abaca::sync::mpsc::channel::<u32>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.inner.try_recv().map_err(|error| match error {
            general::TryRecvError::Empty => TryRecvError::Empty,
            general::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Receives a message, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// * [`RecvTimeoutError::Timeout`]: there was no message in time.
    /// * [`RecvTimeoutError::Disconnected`]: there is no message and all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::RecvTimeoutError;
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = abaca::sync::mpsc::channel::<u32>();
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.inner.recv_timeout(timeout).map_err(|error| match error {
            general::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
            general::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// An iterator that waits for each message. It ends when all senders are gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// An iterator over the messages that are there. It never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::sync::mpsc::channel();
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.try_iter().sum::<i32>(), 3);
    /// ```
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

/// An iterator that owns the receiver.
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
