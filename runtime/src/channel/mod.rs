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
//! # Waiting for several
//!
//! [`select!`] waits for the first of several operations, [`Select`] for the first of a list that is made while the
//! program runs. [`after`], [`at`] and [`tick`] are channels whose messages are times, for timeouts and for what is to
//! be done now and then.
//!
//! ```
//! use abaca::channel::{after, select, unbounded};
//! use std::time::Duration;
//!
//! let (sender, receiver) = unbounded();
//! std::thread::spawn(move || sender.send("hello").unwrap());
//! select! {
//!     recv(receiver) -> message => assert_eq!(message, Ok("hello")),
//!     recv(after(Duration::from_secs(10))) -> _ => panic!("nothing came"),
//! }
//! ```
//!
//! # Other channels
//!
//! | module | what arrives |
//! |---|---|
//! | [`oneshot`] | one message, once |
//! | [`broadcast`] | every message, at every receiver |
//! | [`watch`] | the last value, whenever it has changed |
//!
//! They mirror tokio's, and are no operations of a `select!`.
//!
//! # Disconnection
//!
//! When all senders are gone, receivers get the messages that are left and then errors. When all receivers are
//! gone, the messages that are left are dropped and senders get errors, with their message.
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it sends drops its message and unwinds; one that is cancelled while it receives
//! takes no message. A fiber that is cancelled in a `select!` has begun none of its operations.

mod arm;
#[cfg(not(loom))]
mod async_ends;
pub mod broadcast;
mod choice;
mod clock;
mod error;
mod exchange;
#[doc(hidden)]
pub mod internal;
mod iter;
mod linger;
mod macros;
mod meeting;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, loom))]
mod model_select;
pub(crate) mod mpsc;
pub mod oneshot;
mod owed;
mod pledge;
mod receiver;
mod select;
mod selected;
mod sender;
mod turn;
pub mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(not(loom))]
pub use async_ends::{RecvFuture, SendFuture};
use clock::Clock;
pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError,
    TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
use exchange::Exchange;
pub use iter::{IntoIter, Iter, TryIter};
use receiver::Flavor;
pub use receiver::Receiver;
pub use select::Select;
pub use selected::SelectedOperation;
pub use sender::Sender;

#[doc(inline)]
pub use crate::{select, select_biased};

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
    (Sender::new(Arc::clone(&exchange)), Receiver::new(Flavor::Exchange(exchange)))
}

/// A channel with one message, which is there after `duration`: the time at which that was.
///
/// No thread and no fiber waits for that time, only who receives.
///
/// # Examples
///
/// ```
/// use abaca::channel::{self, after, select};
/// use std::time::Duration;
///
/// let (_sender, receiver) = channel::unbounded::<()>();
/// select! {
///     recv(receiver) -> message => panic!("{message:?}"),
///     recv(after(Duration::from_millis(1))) -> _ => println!("nothing came"),
/// }
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    // A time that the clock cannot express never comes.
    Instant::now().checked_add(duration).map_or_else(never, at)
}

/// A channel with one message, `when`, which is there from that time on.
///
/// # Examples
///
/// ```
/// use abaca::channel::at;
/// use std::time::Instant;
///
/// let when = Instant::now();
/// let receiver = at(when);
/// assert_eq!(receiver.recv(), Ok(when));
/// assert!(receiver.try_recv().is_err());
/// ```
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver::new(Flavor::Clock(Arc::new(Clock::new(when, None))))
}

/// A channel without messages.
///
/// # Examples
///
/// ```
/// use abaca::channel::{self, never, select};
///
/// let (sender, receiver) = channel::unbounded();
/// sender.send(1).unwrap();
/// let other: Option<channel::Receiver<u32>> = None;
/// select! {
///     recv(receiver) -> message => assert_eq!(message, Ok(1)),
///     recv(other.unwrap_or_else(never)) -> _ => unreachable!(),
/// }
/// ```
#[must_use]
pub const fn never<T>() -> Receiver<T> {
    Receiver { flavor: Flavor::Never }
}

/// A channel with a message every `period`: the time at which it was due.
///
/// It holds one message at most. One that is received late delays those that follow: the next is due a period after it
/// was received.
///
/// # Examples
///
/// ```
/// use abaca::channel::tick;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticks = tick(Duration::from_millis(1));
/// assert!(ticks.recv().unwrap() >= start + Duration::from_millis(1));
/// assert!(ticks.recv().unwrap() >= start + Duration::from_millis(2));
/// ```
#[must_use]
pub fn tick(period: Duration) -> Receiver<Instant> {
    match Instant::now().checked_add(period) {
        Some(first) => Receiver::new(Flavor::Clock(Arc::new(Clock::new(first, Some(period))))),
        None => never(),
    }
}
