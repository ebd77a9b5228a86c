//! The protocol between a signal's handler and the receivers of the signal.
//!
//! | handler: [`Count::arrive`] | receiver: [`look`] |
//! |---|---|
//! | 1. count the arrival | 1. take the announcements away |
//! | 2. announce it | 2. compare the count with the one seen last |
//!
//! A receiver that finds nothing waits for the next announcement. An announcement that it has taken away was made after its
//! arrival was counted, so the comparison sees the arrival. An announcement that comes later ends the wait. Neither side may
//! swap its steps: an announcement before the count, or one taken away after the comparison, leaves the receiver asleep
//! beside an arrival.
//!
//! An announcement is a write to an eventfd, with an epoll instance for each receiver; `model.rs` puts flags in their place.

use std::io;

use crate::atomic::{AtomicU64, Ordering, const_fn};

/// The number of arrivals of a signal.
#[derive(Debug)]
pub(super) struct Count(AtomicU64);

/// The count that a receiver has seen last.
#[derive(Debug)]
pub(super) struct SeenCount(u64);

impl Count {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// The handler's side: counts an arrival, then announces it.
    pub(super) fn arrive(&self, announce: impl FnOnce()) {
        // Release: pairs with the Acquire in `now`. The kernel's lock orders this before the announcement.
        self.0.fetch_add(1, Ordering::Release);
        announce();
    }

    pub(super) fn now(&self) -> u64 {
        // Acquire: pairs with the Release in `arrive`.
        self.0.load(Ordering::Acquire)
    }
}

impl SeenCount {
    /// Begins with the current count: earlier arrivals are not reported.
    pub(super) fn new(count: &Count) -> Self {
        Self(count.now())
    }

    /// Whether the signal has arrived since the last call. Several arrivals count as one.
    pub(super) fn has_changed(&mut self, count: &Count) -> bool {
        let now = count.now();
        std::mem::replace(&mut self.0, now) != now
    }
}

/// The receiver's side: takes the announcements away, then looks for an arrival.
///
/// # Errors
///
/// * [`ErrorKind::WouldBlock`](io::ErrorKind::WouldBlock): nothing has arrived. The receiver must wait for the next
///   announcement.
/// * Any error of `take_away`.
pub(crate) fn look<T>(
    take_away: impl FnOnce() -> io::Result<()>,
    find: impl FnOnce() -> Option<T>,
) -> io::Result<T> {
    take_away()?;
    find().ok_or_else(|| io::ErrorKind::WouldBlock.into())
}
