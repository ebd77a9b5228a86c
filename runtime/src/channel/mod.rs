//! Channels of messages between fibers and plain threads, mirroring crossbeam-channel.
//!
//! Any number of senders and receivers share a channel; each message goes to one receiver. Code written against
//! crossbeam-channel's `bounded` and `unbounded` compiles and behaves the same after its `use` path has changed.
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
//! # Waiting for several channels
//!
//! [`select!`] waits for the first of several operations; [`Select`] does so for a list that is made at run time.
//! [`after`], [`at`] and [`tick`] are channels whose messages are times, for timeouts and periodic work.
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
//! | module | who receives what |
//! |---|---|
//! | [`oneshot`] | one receiver, one message |
//! | [`broadcast`] | every receiver, every message |
//! | [`watch`] | every receiver, the last value |
//!
//! They mirror tokio's, and cannot be operations of a `select!`.
//!
//! # Disconnection
//!
//! When all senders are gone, receivers get the messages that are left, and then errors. When all receivers are
//! gone, the messages that are left are dropped, and senders get their message back in an error.
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it sends drops its message and unwinds. A fiber that is cancelled while it receives
//! takes no message. A fiber that is cancelled in a `select!` has begun none of its operations. The end of a runtime
//! cancels the fibers that are left, also those that wait here.

#[cfg(not(loom))]
mod async_ends;
pub mod broadcast;
mod case;
mod clock;
mod disconnect;
mod ends;
mod error;
mod handoffs;
#[doc(hidden)]
pub mod internal;
mod iter;
mod macros;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, loom))]
mod model_select;
pub(crate) mod mpsc;
pub mod oneshot;
mod receiver;
mod reservation;
mod select;
mod select_loop;
mod select_seed;
mod selected;
mod sender;
mod shared;
mod spin;
mod state;
pub mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(not(loom))]
pub use async_ends::{RecvFuture, SendFuture};
use clock::Clock;
pub(crate) use ends::Ends;
pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError,
    TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
pub use iter::{IntoIter, Iter, TryIter};
use receiver::Flavor;
pub use receiver::Receiver;
pub use select::Select;
pub(crate) use select_loop::AwaitedCases;
pub use selected::SelectedOperation;
pub use sender::Sender;
use shared::Channel;

#[doc(inline)]
pub use crate::{select, select_biased};

/// Creates a channel that holds up to `capacity` messages. Sending to a full channel waits.
///
/// A channel of capacity 0 holds no message: each send waits for a receiver to take the message, and each receive waits
/// for a sender.
///
/// # Examples
///
/// With capacity 1:
///
/// ```
/// let (sender, receiver) = abaca::channel::bounded(1);
/// sender.send("first").unwrap();
/// assert!(sender.try_send("second").unwrap_err().is_full());
/// assert_eq!(receiver.recv(), Ok("first"));
/// ```
///
/// With capacity 0, sender and receiver meet:
///
/// ```
/// let (sender, receiver) = abaca::channel::bounded(0);
/// assert!(sender.try_send("nobody receives").unwrap_err().is_full());
/// std::thread::spawn(move || sender.send("hello").unwrap());
/// assert_eq!(receiver.recv(), Ok("hello"));
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(Some(capacity))
}

/// Creates a channel that holds any number of messages. Sending never waits.
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
#[doc(alias = "unbounded_channel")]
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(None)
}

fn ends<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(capacity));
    (Sender::new(Arc::clone(&channel)), Receiver::new(Flavor::Channel(channel)))
}

/// A channel with one message, which arrives after `duration`. The message is the time at which it was due.
///
/// No thread and no fiber runs until then.
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
    // If the clock cannot express the time, the message never comes.
    Instant::now().checked_add(duration).map_or_else(never, at)
}

/// A channel with one message, `when`, which arrives at that time.
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

/// A channel without messages. Receiving from it waits for ever.
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

/// A channel with a message every `period`. Each message is the time at which it was due.
///
/// It holds at most one message. A message that is received late delays the next ones: the next is due one period after
/// it was received.
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
