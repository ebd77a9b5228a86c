//! Where a worker sleeps when a poller thread does the polling: a futex word that is 1 while it may sleep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::os::futex;

/// Sleeps until [`get_up`] or for `timeout`; returns at once if `get_up` came since the last call.
pub(super) fn lie_down(bed: &AtomicU32, timeout: Option<Duration>) {
    // A timeout beyond the clock's range is no timeout.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    // Acquire: pairs with the Release in `get_up`.
    while bed.load(Ordering::Acquire) == 0 {
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return;
        }
        futex::wait(bed, 0, deadline);
    }
    bed.store(0, Ordering::Relaxed);
}

/// Ends the sleep, or the next one.
pub(super) fn get_up(bed: &AtomicU32) {
    // Release: what the waker did before is seen by the woken.
    bed.store(1, Ordering::Release);
    futex::wake_one(bed.as_ptr());
}
