//! Time: sleeping, deadlines around any blocking code, and intervals.
//!
//! [`timeout()`] ends whatever the caller blocks in when the time is up: sockets, locks, channels, joins, sleeps, at any depth
//! of calls that know nothing of it.
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
pub(crate) mod sleeping;
mod timeout;

pub use std::time::{Duration, Instant, SystemTime, SystemTimeError, UNIX_EPOCH};

pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleeping::{sleep, sleep_until};
pub use timeout::{Elapsed, timeout, timeout_at};
