//! The protocol between a signal's handler and those who wait for the signal, whatever announces it to them.
//!
//! | handler: [`Count::arrive`] | receiver: [`look`] |
//! |---|---|
//! | 1. count | 1. take away what was announced |
//! | 2. announce | 2. compare the count with the one seen last |
//!
//! A receiver that finds nothing waits for the next announcement. One that it has taken away was made after its arrival
//! was counted, so the comparison sees that; one that comes later ends the wait. Neither side may swap its steps: an
//! announcement before the count, or one taken away after the comparison, leaves the receiver asleep beside an arrival.
//!
//! What announces is an eventfd with an epoll instance for each receiver; `model.rs` puts flags in their place.

use std::io;

use crate::atomic::{AtomicU64, Ordering, const_fn};

/// How often a signal has arrived.
#[derive(Debug)]
pub(super) struct Count(AtomicU64);

/// The count that a receiver has seen last.
#[derive(Debug)]
pub(super) struct Seen(u64);

impl Count {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// The handler's side: counts an arrival, then has it announced.
    pub(super) fn arrive(&self, announce: impl FnOnce()) {
        // Release: pairs with the Acquire in `now`. What orders it before the announcement is the kernel's lock.
        self.0.fetch_add(1, Ordering::Release);
        announce();
    }

    pub(super) fn now(&self) -> u64 {
        // Acquire: pairs with the Release in `arrive`.
        self.0.load(Ordering::Acquire)
    }
}

impl Seen {
    /// What has arrived up to now is not reported.
    pub(super) fn new(count: &Count) -> Self {
        Self(count.now())
    }

    /// Whether anything has arrived since this was last asked. Several arrivals are one.
    pub(super) fn has_changed(&mut self, count: &Count) -> bool {
        let now = count.now();
        std::mem::replace(&mut self.0, now) != now
    }
}

/// The receiver's side: takes what was announced away, then looks for what has arrived; without it, the receiver waits for
/// the next announcement (`WouldBlock`).
pub(crate) fn look<T>(
    take_away: impl FnOnce() -> io::Result<()>,
    find: impl FnOnce() -> Option<T>,
) -> io::Result<T> {
    take_away()?;
    find().ok_or_else(|| io::ErrorKind::WouldBlock.into())
}
