//! A channel whose messages go to every receiver, mirroring `tokio::sync::broadcast` with calls that block instead of
//! futures.
//!
//! It keeps the last messages, as many as its capacity. Sending never waits: a receiver that is too slow misses the
//! oldest messages, and is told how many.
//!
//! ```
//! use abaca::channel::broadcast;
//!
//! let (sender, mut first) = broadcast::channel(16);
//! let mut second = sender.subscribe();
//! sender.send("hello").unwrap();
//! assert_eq!((first.recv(), second.recv()), (Ok("hello"), Ok("hello")));
//! ```
//!
//! It cannot be an operation of a `select!`.
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it receives takes no message.

pub mod error;
#[cfg(all(test, loom))]
mod model;
mod ring;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::atomic::Ordering;
use crate::park::primitive::{self as park, Cost};
use error::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use ring::Ring;

/// The sending end. Clones send to the same receivers. Dropping the last sender closes the channel.
pub struct Sender<T> {
    ring: Arc<Ring<T>>,
}

/// A sender that does not keep the channel open.
pub struct WeakSender<T> {
    ring: Arc<Ring<T>>,
}

/// The receiving end. It receives all messages that were sent since it was made.
pub struct Receiver<T> {
    ring: Arc<Ring<T>>,
    /// The position of the next message to receive.
    position: u64,
}

// No user code runs while the ring is half-way through a change.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for WeakSender<T> {}
impl<T> RefUnwindSafe for WeakSender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

/// Creates a channel that keeps `capacity` messages, rounded up to a power of two.
///
/// # Panics
///
/// If `capacity` is 0, or more than `usize::MAX / 2`.
#[must_use]
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// Creates a sender without receivers.
    ///
    /// # Panics
    ///
    /// As [`channel`].
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "broadcast channel capacity cannot be zero");
        assert!(capacity <= usize::MAX >> 1, "broadcast channel capacity exceeded `usize::MAX / 2`");
        Self { ring: Arc::new(Ring::new(capacity.next_power_of_two())) }
    }

    /// Sends `message` to all present receivers, without waiting. Returns their number.
    ///
    /// # Errors
    ///
    /// If there are no receivers; the error contains the message. A later send may succeed.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::broadcast::Sender;
    ///
    /// let sender = Sender::new(4);
    /// assert_eq!(sender.send(1).unwrap_err().0, 1);
    /// let _receivers = [sender.subscribe(), sender.subscribe()];
    /// assert_eq!(sender.send(2).unwrap(), 2);
    /// ```
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        self.ring.send(message).map_err(SendError)
    }

    /// Creates a receiver for the messages that are sent from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = abaca::channel::broadcast::channel(2);
    /// sender.send(1).unwrap();
    /// let mut late = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(late.recv(), Ok(2));
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { position: self.ring.add_receiver(), ring: Arc::clone(&self.ring) }
    }

    /// Creates a sender that does not keep the channel open.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = abaca::channel::broadcast::channel(1);
    /// let weak = sender.downgrade();
    /// weak.upgrade().unwrap().send(1).unwrap();
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert!(receiver.is_closed());
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakSender<T> {
        self.ring.weak_senders.fetch_add(1, Ordering::Relaxed);
        WeakSender { ring: Arc::clone(&self.ring) }
    }

    /// Number of messages that some receiver has yet to receive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether every receiver has received every message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of receivers.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.receivers()
    }

    /// Waits until there are no receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::broadcast::channel::<u32>(1);
    /// std::thread::spawn(move || drop(receiver));
    /// sender.closed();
    /// ```
    pub fn closed(&self) {
        self.ring.wait_closed();
    }

    /// Whether `self` and `other` send to the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring)
    }

    /// Number of senders that keep the channel open.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.senders.load(Ordering::Relaxed)
    }

    /// Number of senders that do not keep the channel open.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.weak_senders.load(Ordering::Relaxed)
    }
}

impl<T> WeakSender<T> {
    /// Creates a sender that keeps the channel open; `None` if there is no other such sender.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        park::spend(Cost::Call);
        self.ring.try_add_sender().then(|| Sender { ring: Arc::clone(&self.ring) })
    }

    /// As [`Sender::strong_count`].
    #[must_use]
    pub fn strong_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.senders.load(Ordering::Relaxed)
    }

    /// As [`Sender::weak_count`].
    #[must_use]
    pub fn weak_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.weak_senders.load(Ordering::Relaxed)
    }
}

impl<T> Receiver<T> {
    /// Number of messages to receive, including those that were overwritten.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len_from(self.position)
    }

    /// Whether there is no message to receive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `self` and `other` receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring)
    }

    /// Number of senders that keep the channel open.
    #[must_use]
    pub fn sender_strong_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.senders.load(Ordering::Relaxed)
    }

    /// Number of senders that do not keep the channel open.
    #[must_use]
    pub fn sender_weak_count(&self) -> usize {
        park::spend(Cost::Call);
        self.ring.weak_senders.load(Ordering::Relaxed)
    }

    /// Whether all senders are gone. There may be messages to receive.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender_strong_count() == 0
    }
}

impl<T: Clone> Receiver<T> {
    /// Creates a receiver for the messages that are sent from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self { position: self.ring.add_receiver(), ring: Arc::clone(&self.ring) }
    }

    /// Receives the next message, waiting for it.
    ///
    /// # Errors
    ///
    /// * [`RecvError::Lagged`]: that many messages were overwritten before they were received. The next call receives the
    ///   oldest one that is left.
    /// * [`RecvError::Closed`]: all senders are gone, and all messages were received.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::broadcast::{self, error::RecvError};
    ///
    /// let (sender, mut receiver) = broadcast::channel(2);
    /// for n in 0..3 {
    ///     sender.send(n).unwrap();
    /// }
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Err(RecvError::Lagged(1)));
    /// assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Ok(2)));
    /// assert_eq!(receiver.recv(), Err(RecvError::Closed));
    /// ```
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.ring.receive(&mut self.position, None).map(Arc::unwrap_or_clone).map_err(|error| match error {
            TryRecvError::Empty => unreachable!("it waits forever"),
            TryRecvError::Closed => RecvError::Closed,
            TryRecvError::Lagged(missed) => RecvError::Lagged(missed),
        })
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// * [`TryRecvError::Empty`]: there is no message now.
    /// * [`TryRecvError::Closed`] and [`TryRecvError::Lagged`]: as for [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::broadcast::{self, error::TryRecvError};
    ///
    /// let (sender, mut receiver) = broadcast::channel(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.ring.try_receive(&mut self.position).map(Arc::unwrap_or_clone)
    }

    /// Receives the next message, waiting for it, but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// * [`RecvTimeoutError::Timeout`]: there was no message in time.
    /// * [`RecvTimeoutError::Closed`] and [`RecvTimeoutError::Lagged`]: as for [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::broadcast::{self, error::RecvTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (_sender, mut receiver) = broadcast::channel::<u32>(1);
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A timeout that the clock cannot express is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        self.ring.receive(&mut self.position, deadline).map(Arc::unwrap_or_clone).map_err(|error| match error
        {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Closed => RecvTimeoutError::Closed,
            TryRecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.ring.senders.fetch_add(1, Ordering::Relaxed);
        Self { ring: Arc::clone(&self.ring) }
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        self.ring.weak_senders.fetch_add(1, Ordering::Relaxed);
        Self { ring: Arc::clone(&self.ring) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.ring.remove_sender();
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.ring.weak_senders.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.ring.remove_receiver(self.position);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::Sender")
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::WeakSender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::Receiver")
    }
}
