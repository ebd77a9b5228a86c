//! A channel for one message, mirroring `tokio::sync::oneshot` with calls that block instead of futures.
//!
//! It is one allocation, sending never waits, and neither end takes a lock to pass the message.
//!
//! ```
//! use abaca::channel::oneshot;
//!
//! let (sender, receiver) = oneshot::channel();
//! std::thread::spawn(move || sender.send(6 * 7).unwrap());
//! assert_eq!(receiver.recv(), Ok(42));
//! ```
//!
//! It cannot be an operation of a `select!`: for that, use [`bounded(1)`](super::bounded).
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it receives takes no message: one that comes at the same time is dropped with the
//! receiver, or is there for the next call.

pub mod error;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod recv_future;
mod shared;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::cell::Outcome;
use crate::park::primitive::{self as park, Cost};
#[cfg(not(loom))]
pub use recv_future::RecvFuture;

use error::{RecvError, RecvTimeoutError, TryRecvError};
use shared::{Found, Held};

/// The end that sends the message.
pub struct Sender<T> {
    /// `None` only while it is being taken apart.
    held: Option<Held<T>>,
}

/// The end that receives the message.
pub struct Receiver<T> {
    /// `None` once nothing more can come.
    held: Option<Held<T>>,
}

// No user code runs while the channel is half-way through a change.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

/// A channel for one message.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = Held::new();
    (Sender { held: Some(sender) }, Receiver { held: Some(receiver) })
}

impl<T> Sender<T> {
    /// Sends the message, without waiting.
    ///
    /// That it was sent does not mean that it will be received: the receiver may be dropped with it.
    ///
    /// # Errors
    ///
    /// When the receiver is gone, or has been closed; the error is the message.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send("hello"), Err("hello"));
    /// ```
    #[inline]
    pub fn send(mut self, message: T) -> Result<(), T> {
        park::spend(Cost::Call);
        match self.held.take() {
            Some(held) => held.send(message),
            None => Err(message),
        }
    }

    /// Whether the receiver is gone, or has been closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        park::spend(Cost::Call);
        self.held.as_ref().is_none_or(Held::is_closed)
    }

    /// Waits until the receiver is gone, or has been closed: nobody wants the message any more.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, receiver) = abaca::channel::oneshot::channel::<u32>();
    /// std::thread::spawn(move || drop(receiver));
    /// sender.closed();
    /// assert!(sender.is_closed());
    /// ```
    pub fn closed(&mut self) {
        if let Some(held) = &self.held {
            held.wait_closed();
        }
    }
}

impl<T> Receiver<T> {
    /// Receives the message, waiting for it.
    ///
    /// # Errors
    ///
    /// When there will be none: the sender is gone, or the message was received before, or the channel was closed.
    #[inline]
    pub fn recv(mut self) -> Result<T, RecvError> {
        self.receive_until(None).map_err(|_closed| RecvError(()))
    }

    /// Receives the message, waiting for it, but for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] when the time was up, after which the message can still be received;
    /// [`RecvTimeoutError::Closed`] when there will be none.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::oneshot::{self, error::RecvTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// let short = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_timeout(short), Err(RecvTimeoutError::Timeout));
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv_timeout(short), Ok(1));
    /// assert_eq!(receiver.recv_timeout(short), Err(RecvTimeoutError::Closed));
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A timeout that the clock cannot express is no timeout.
        self.receive_until(Instant::now().checked_add(timeout))
    }

    #[inline]
    fn receive_until(&mut self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        park::spend(Cost::Wait);
        let mut is_late = false;
        loop {
            match (Held::take(&mut self.held), &self.held) {
                (Found::Message(message), _) => return Ok(message),
                (Found::Nothing, Some(_)) if is_late => return Err(RecvTimeoutError::Timeout),
                (Found::Nothing, Some(held)) => match held.wait(deadline) {
                    Outcome::Notified => {}
                    // A message that came at the same time is there.
                    Outcome::TimedOut => is_late = true,
                    Outcome::Cancelled => park::unwind(),
                },
                (Found::Nothing | Found::Closed, _) => return Err(RecvTimeoutError::Closed),
            }
        }
    }

    /// Receives the message if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when it is not there yet; [`TryRecvError::Closed`] when there will be none.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::channel::oneshot::{self, error::TryRecvError};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match Held::take(&mut self.held) {
            Found::Message(message) => Ok(message),
            Found::Nothing => {
                park::spend(Cost::InVain);
                Err(TryRecvError::Empty)
            }
            Found::Closed => Err(TryRecvError::Closed),
        }
    }

    /// Lets no message be sent from now on. One that was sent before can still be received.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = abaca::channel::oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(1), Err(1));
    /// assert!(receiver.try_recv().is_err());
    /// ```
    pub fn close(&mut self) {
        if let Some(held) = &self.held {
            held.close();
        }
    }

    /// Whether there is no message to be received at the moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        park::spend(Cost::Call);
        self.held.as_ref().is_none_or(Held::is_empty)
    }

    /// Whether the message was received, or the receiver has been told that there will be none.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.held.is_none()
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.leave_unsent();
        }
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.leave_receiver();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}
