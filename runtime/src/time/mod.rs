//! Time: sleeping, deadlines around any blocking code, and intervals. The shape is that of tokio's `time`.
//!
//! [`timeout()`] ends any blocking call that the caller is in when the time is up: on a socket, a lock, a channel, a join, a
//! sleep, at any depth of calls that know nothing of it. It **fires once**: see there.
//!
//! | to | use |
//! |---|---|
//! | wait for a time | [`sleep()`], [`sleep_until`] |
//! | do something at regular times | [`interval()`]; to wait for channels as well [`channel::tick`](crate::channel::tick) |
//! | limit any blocking code | [`timeout()`], [`timeout_at`] |
//! | limit a future | [`future::timeout`](crate::future::timeout()) |
//! | limit each read or write of a socket | its `set_read_timeout` and `set_write_timeout` |
//! | have a message at a time | [`channel::after`](crate::channel::after) |
//!
//! ```
//! use std::time::Duration;
//! use abaca::time::timeout;
//!
//! # abaca::run(|| {
//! let (_sender, receiver) = abaca::channel::unbounded::<u8>();
//! assert!(timeout(Duration::from_millis(1), || receiver.recv()).is_err());
//! assert_eq!(timeout(Duration::from_secs(60), || 6 * 7), Ok(42));
//! # });
//! ```

mod interval;
pub(crate) mod pauses;
pub(crate) mod sleeping;
mod timeout;

pub use std::time::{Duration, Instant, SystemTime, SystemTimeError, UNIX_EPOCH};

pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub(crate) use pauses::Pauses;
pub use sleeping::{sleep, sleep_until};
pub use timeout::{Elapsed, timeout, timeout_at};
