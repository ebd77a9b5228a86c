//! The receiving end of a channel.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::exchange::{Exchange, Patience, Refusal};
use super::iter::{IntoIter, Iter, TryIter};

/// The receiving end of a channel. Clones receive from the same channel (each message goes to one of them); threads and
/// fibers may also share one by reference.
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
    exchange: Arc<Exchange<T>>,
}

// No user code runs while the exchange is half-way through a change.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// The receiver that a new exchange already counts.
    pub(super) fn new(exchange: Arc<Exchange<T>>) -> Self {
        Self { exchange }
    }

    /// Receives a message, waiting while there is none.
    ///
    /// # Errors
    ///
    /// When the channel is empty and all senders are gone.
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
        self.exchange.receive(Patience::Until(None)).map_err(|_| RecvError)
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when there is none; [`TryRecvError::Disconnected`] when also all senders are gone.
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
        self.exchange.receive(Patience::None).map_err(|refusal| match refusal {
            Refusal::Unready => TryRecvError::Empty,
            Refusal::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Receives a message, waiting while there is none, but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] when the time was up; [`RecvTimeoutError::Disconnected`] when the channel is empty and
    /// all senders are gone.
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
        self.exchange.receive(Patience::Until(deadline)).map_err(|refusal| match refusal {
            Refusal::Unready => RecvTimeoutError::Timeout,
            Refusal::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// Whether the channel holds no message. Always so with capacity 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the channel holds as many messages as it can. Always so with capacity 0, never without a bound.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.exchange.is_full()
    }

    /// Number of messages in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exchange.len()
    }

    /// The most messages that the channel holds; `None` without a bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.exchange.capacity()
    }

    /// The messages to come, waiting for each, until the channel is empty and all senders are gone.
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

    /// The messages that are there, until the channel is empty.
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
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.exchange, &other.exchange)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.exchange.add_receiver();
        Self { exchange: Arc::clone(&self.exchange) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.exchange.remove_receiver();
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
