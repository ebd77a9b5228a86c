//! The sending end of a channel.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{SendError, SendTimeoutError, TrySendError};
use super::shared::{Block, Channel, Refusal};

/// The sending end of a channel.
///
/// Clones send to the same channel; threads and fibers may also share one by reference. Dropping the last sender
/// disconnects the channel: receivers get the messages that are left, and then errors.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = abaca::channel::unbounded();
/// let other = sender.clone();
/// std::thread::spawn(move || other.send(1).unwrap());
/// sender.send(2).unwrap();
/// drop(sender);
/// assert_eq!(receiver.iter().sum::<i32>(), 3);
/// ```
pub struct Sender<T> {
    pub(super) channel: Arc<Channel<T>>,
}

// No user code runs while the channel is half-way through a change.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// The sender that a new channel already counts.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Sends `message`, waiting while the channel is full.
    ///
    /// With capacity 0 it waits until a receiver takes the message.
    ///
    /// # Errors
    ///
    /// If all receivers are gone; the error contains the message. A fiber that is cancelled while it waits drops the message
    /// and unwinds.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::bounded(1);
    /// assert_eq!(sender.send(1), Ok(()));
    /// drop(receiver);
    /// assert!(sender.send(2).is_err());
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.channel.send(message, Block::Until(None)).map_err(|(_, message)| SendError(message))
    }

    /// Sends `message` if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// Each error contains the message:
    ///
    /// * [`TrySendError::Full`]: the channel is full, or it has capacity 0 and nobody is receiving.
    /// * [`TrySendError::Disconnected`]: all receivers are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, TrySendError};
    ///
    /// let (sender, _receiver) = channel::bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.channel.send(message, Block::Never).map_err(|(refusal, message)| match refusal {
            Refusal::WouldBlock => TrySendError::Full(message),
            Refusal::Disconnected => TrySendError::Disconnected(message),
        })
    }

    /// Sends `message`, waiting while the channel is full, but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Each error contains the message:
    ///
    /// * [`SendTimeoutError::Timeout`]: the message could not be sent in time.
    /// * [`SendTimeoutError::Disconnected`]: all receivers are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, SendTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = channel::bounded(0);
    /// let result = sender.send_timeout(1, Duration::from_millis(1));
    /// assert_eq!(result, Err(SendTimeoutError::Timeout(1)));
    /// ```
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        // A timeout that the clock cannot express is no timeout.
        self.send_until(message, Instant::now().checked_add(timeout))
    }

    /// Sends `message`, waiting while the channel is full, but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = abaca::channel::bounded(1);
    /// assert!(sender.send_deadline(1, Instant::now()).is_ok());
    /// assert!(sender.send_deadline(2, Instant::now()).unwrap_err().is_timeout());
    /// # drop(receiver);
    /// ```
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(message, Some(deadline))
    }

    fn send_until(&self, message: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        self.channel.send(message, Block::Until(deadline)).map_err(|(refusal, message)| match refusal {
            Refusal::WouldBlock => SendTimeoutError::Timeout(message),
            Refusal::Disconnected => SendTimeoutError::Disconnected(message),
        })
    }

    /// Whether the channel holds no message. Always `true` with capacity 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the channel holds as many messages as it can: always with capacity 0, never if it is unbounded.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// Number of messages in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = abaca::channel::bounded(2);
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// assert_eq!((sender.len(), sender.capacity(), sender.is_full()), (2, Some(2), true));
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// The maximum number of messages that the channel holds; `None` if it is unbounded.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    /// Whether `self` and `other` send to the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
