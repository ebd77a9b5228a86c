//! Where a worker is in its work, for other threads that watch it.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::Worker;
use crate::cell::Header;

/// See [`Worker::position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    epoch: u32,
    picks_left: u32,
    current: *mut Header,
}

impl Position {
    /// The fiber that runs; `None` in the hub. The fiber may end at any time, so its address must not be followed.
    pub(crate) fn fiber(self) -> Option<NonNull<Header>> {
        NonNull::new(self.current)
    }
}

impl Worker {
    /// The worker's position, for other threads: as long as it does not change, the worker runs one fiber without a switch.
    pub(crate) fn position(&self) -> Position {
        // Relaxed: a thread that compares two positions has waited in between.
        Position {
            epoch: self.remote.epoch.load(Ordering::Relaxed),
            picks_left: self.picks_left.load(Ordering::Relaxed),
            current: self.current.load(Ordering::Relaxed),
        }
    }
}
