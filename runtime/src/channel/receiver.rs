//! The receiving end of a channel.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::{self, Clock};
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::iter::{IntoIter, Iter, TryIter};
use super::shared::{Block, Channel, Refusal};

/// The receiving end of a channel.
///
/// Clones receive from the same channel, and each message goes to one of them; threads and fibers may also share one by
/// reference. Dropping the last receiver disconnects the channel: the messages that are left are dropped, and senders
/// get errors.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = abaca::channel::bounded(8);
/// let other = receiver.clone();
/// let thread = std::thread::spawn(move || other.iter().count());
/// for n in 0..100 {
///     sender.send(n).unwrap();
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().count() + thread.join().unwrap(), 100);
/// ```
pub struct Receiver<T> {
    pub(super) flavor: Flavor<T>,
}

/// The source of a receiver's messages.
pub(super) enum Flavor<T> {
    Channel(Arc<Channel<T>>),
    Clock(Arc<Clock<T>>),
    /// None: there are no messages.
    Never,
}

// No user code runs while the channel is half-way through a change.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

/// Receives from a clock, or waits for ever: out of the way of those who receive from a channel.
#[cold]
#[inline(never)]
fn receive_from_clock<T>(clock: Option<&Clock<T>>, block: Block) -> Result<T, Refusal> {
    match clock {
        Some(clock) => clock.receive(block),
        None => clock::never(block),
    }
}

impl<T> Receiver<T> {
    /// A receiver. A new channel already counts its first one.
    pub(super) fn new(flavor: Flavor<T>) -> Self {
        Self { flavor }
    }

    #[inline]
    fn receive(&self, block: Block) -> Result<T, Refusal> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.receive(block),
            Flavor::Clock(clock) => receive_from_clock(Some(clock), block),
            Flavor::Never => receive_from_clock(None, block),
        }
    }

    /// When the next message of a clock is due; `None` for any other channel, and after a clock's last one.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.flavor {
            Flavor::Clock(clock) => clock.due(),
            Flavor::Channel(_) | Flavor::Never => None,
        }
    }

    /// Takes the message of a receive operation that was selected.
    pub(super) fn take_aside(&self) -> Option<T> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.lock().take_aside(),
            Flavor::Clock(clock) => clock.take_aside(),
            Flavor::Never => None,
        }
    }

    /// Receives a message, waiting while there is none.
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone. A fiber that is cancelled while it waits takes no message and
    /// unwinds.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, RecvError};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert_eq!(receiver.recv(), Err(RecvError));
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receive(Block::Until(None)).map_err(|_| RecvError)
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
    /// use abaca::channel::{self, TryRecvError};
    ///
    /// let (sender, receiver) = channel::unbounded::<u32>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.receive(Block::Never).map_err(|refusal| match refusal {
            Refusal::WouldBlock => TryRecvError::Empty,
            Refusal::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Receives a message, waiting while there is none, but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// * [`RecvTimeoutError::Timeout`]: there was no message in time.
    /// * [`RecvTimeoutError::Disconnected`]: the channel is empty and all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::{self, RecvTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = channel::unbounded::<u32>();
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A timeout that the clock cannot express is no timeout.
        self.receive_until(Instant::now().checked_add(timeout))
    }

    /// Receives a message, waiting while there is none, but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = abaca::channel::unbounded();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv_deadline(Instant::now()), Ok(1));
    /// assert!(receiver.recv_deadline(Instant::now()).unwrap_err().is_timeout());
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.receive_until(Some(deadline))
    }

    fn receive_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        self.receive(Block::Until(deadline)).map_err(|refusal| match refusal {
            Refusal::WouldBlock => RecvTimeoutError::Timeout,
            Refusal::Disconnected => RecvTimeoutError::Disconnected,
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
        match &self.flavor {
            Flavor::Channel(channel) => channel.is_full(),
            Flavor::Clock(clock) => clock.is_due(),
            Flavor::Never => true,
        }
    }

    /// Number of messages in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::bounded(2);
    /// assert!(receiver.is_empty());
    /// sender.send(1).unwrap();
    /// assert_eq!((receiver.len(), receiver.capacity(), receiver.is_full()), (1, Some(2), false));
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Channel(channel) => channel.len(),
            Flavor::Clock(clock) => clock.is_due().into(),
            Flavor::Never => 0,
        }
    }

    /// The maximum number of messages that the channel holds; `None` if it is unbounded.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.capacity(),
            Flavor::Clock(_) => Some(1),
            Flavor::Never => Some(0),
        }
    }

    /// An iterator that waits for each message. It ends when the channel is empty and all senders are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::unbounded();
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// An iterator over the messages that are in the channel. It ends when the channel is empty and never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::unbounded();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter::new(self)
    }

    /// Whether `self` and `other` receive from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel;
    ///
    /// let (_sender, receiver) = channel::unbounded::<u32>();
    /// let (_other_sender, other) = channel::unbounded();
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// assert!(!receiver.same_channel(&other));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        match (&self.flavor, &other.flavor) {
            (Flavor::Channel(one), Flavor::Channel(other)) => Arc::ptr_eq(one, other),
            (Flavor::Clock(one), Flavor::Clock(other)) => Arc::ptr_eq(one, other),
            (Flavor::Never, Flavor::Never) => true,
            _ => false,
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(match &self.flavor {
            Flavor::Channel(channel) => {
                channel.add_receiver();
                Flavor::Channel(Arc::clone(channel))
            }
            Flavor::Clock(clock) => Flavor::Clock(Arc::clone(clock)),
            Flavor::Never => Flavor::Never,
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Flavor::Channel(channel) = &self.flavor {
            channel.remove_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
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
        IntoIter::new(self)
    }
}
