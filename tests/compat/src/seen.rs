//! How many calls a server has served at the same time. One program runs at a time, so there is one count.

use std::sync::atomic::{AtomicUsize, Ordering};

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// A call that is served; until it is dropped.
pub(crate) struct Served(());

/// A server begins to serve a call.
pub(crate) fn begin() -> Served {
    at_once(NOW.fetch_add(1, Ordering::SeqCst) + 1);
    Served(())
}

impl Drop for Served {
    fn drop(&mut self) {
        NOW.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server that counts by itself has told that it serves so many.
pub(crate) fn at_once(calls: usize) {
    MOST.fetch_max(calls, Ordering::SeqCst);
}

/// How many are served now.
pub(crate) fn now() -> usize {
    NOW.load(Ordering::SeqCst)
}

/// The most that were served at once since the last call of this function.
pub(crate) fn take_most() -> usize {
    MOST.swap(0, Ordering::SeqCst)
}
