//! A worker's parker, where it sleeps if a poller thread does the polling: a futex word that is 1 while the worker must not
//! sleep.
//!
//! Under loom, `model_parker.rs` takes the place of this file.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::os::futex;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Parker(AtomicU32);

impl Parker {
    /// Sleeps until [`unpark`](Self::unpark) or for `timeout`; `None` is no timeout. Returns at once if `unpark` was called
    /// since the last `park`.
    pub(super) fn park(&self, timeout: Option<Duration>) {
        // A timeout beyond the clock's range is no timeout.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // Acquire: pairs with the Release in `unpark`.
        while self.0.load(Ordering::Acquire) == 0 {
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return;
            }
            futex::wait(&self.0, 0, deadline);
        }
        self.0.store(0, Ordering::Relaxed);
    }

    /// Ends the sleep, or the next one if the worker is awake.
    pub(super) fn unpark(&self) {
        // Release: pairs with the Acquire in `park`, so that the worker sees what the caller did before.
        self.0.store(1, Ordering::Release);
        futex::wake_one(self.0.as_ptr());
    }
}
