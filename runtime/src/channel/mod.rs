//! Channels of messages between fibers and plain threads, mirroring crossbeam-channel.
//!
//! Code written against crossbeam-channel's `bounded` and `unbounded` compiles and behaves the same after its
//! `use` path has changed. Any number of senders and receivers share a channel; each message goes to one receiver.
//!
//! ```
//! use abaca::channel;
//!
//! let (sender, receiver) = channel::bounded(2);
//! let thread = std::thread::spawn(move || {
//!     for n in 0..5 {
//!         sender.send(n).unwrap();
//!     }
//! });
//! assert_eq!(receiver.iter().sum::<i32>(), 10);
//! # thread.join().unwrap();
//! ```
//!
//! # Disconnection
//!
//! When all senders are gone, receivers get the messages that are left and then errors. When all receivers are
//! gone, the messages that are left are dropped and senders get errors, with their message.
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it sends drops its message and unwinds; one that is cancelled while it receives
//! takes no message.

mod error;
mod exchange;
mod iter;
mod meeting;
mod receiver;
mod sender;

use std::sync::Arc;

pub use error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use exchange::Exchange;
pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;

/// A channel that holds up to `capacity` messages; sending to a full one waits.
///
/// A channel of capacity 0 holds none: a send waits for a receiver that takes the message, and vice versa.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = abaca::channel::bounded(1);
/// sender.send("first").unwrap();
/// assert!(sender.try_send("second").unwrap_err().is_full());
/// assert_eq!(receiver.recv(), Ok("first"));
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(Some(capacity))
}

/// A channel that holds any number of messages; sending never waits.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = abaca::channel::unbounded();
/// for n in 0..1000 {
///     sender.send(n).unwrap();
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().count(), 1000);
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(None)
}

fn ends<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let exchange = Arc::new(Exchange::new(capacity));
    (Sender::new(Arc::clone(&exchange)), Receiver::new(exchange))
}
