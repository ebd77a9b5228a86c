//! What others have sent to a thread that is a fiber.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abaca::hook::{self, Interrupted};
use libc::siginfo_t;

use super::handlers::{has_handler, index};
use super::masks;
use super::queued::{self, NoPlace, Owner, is_queued, new_owner};
use super::signal_fd;

/// The signals that were sent to a thread that is a fiber, and of which no handler has run yet.
pub(crate) struct Pending {
    pub(super) signals: AtomicU64,
    /// What the thread blocks.
    pub(super) blocked: AtomicU64,
    /// The thread's number where real-time signals wait.
    pub(super) owner: Owner,
    /// The fiber; 0 before it runs, and when it has ended.
    fiber: AtomicUsize,
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Relaxed: nobody else has it.
        if self.signals.load(Ordering::Relaxed) != 0 {
            queued::forget(self.owner);
        }
    }
}

impl Pending {
    /// Of a thread that begins with this mask.
    pub(super) fn new(mask: u64) -> Self {
        let [signals, blocked] = [0, mask].map(AtomicU64::new);
        Self { signals, blocked, owner: new_owner(), fiber: AtomicUsize::new(0) }
    }

    /// The calling fiber is this thread.
    pub(crate) fn begin(&self) {
        self.fiber.store(hook::fiber_key(), Ordering::SeqCst);
    }

    /// The thread has ended.
    pub(crate) fn end(&self) {
        self.fiber.store(0, Ordering::SeqCst);
    }

    /// Sends a signal to the thread; `None` if the thread does not block it, and it has no handler that the thread could run.
    pub(crate) fn send(
        &self,
        signal: c_int,
        info: impl FnOnce(usize) -> siginfo_t,
        wake: impl FnOnce(),
    ) -> Option<Result<(), NoPlace>> {
        let index = index(signal)?;
        let bit = masks::bit(index);
        let is_blocked = self.blocked.load(Ordering::SeqCst) & bit != 0;
        if !is_blocked && !has_handler(index) {
            return None;
        }
        if is_blocked || is_queued(index) {
            let info = info(index);
            if is_blocked && signal_fd::deliver(index, Some(&info)) {
                return Some(Ok(()));
            }
            if is_queued(index)
                && let Err(no_place) = queued::put(self.owner, index, info)
            {
                return Some(Err(no_place));
            }
        }
        self.signals.fetch_or(bit, Ordering::SeqCst);
        match self.fiber.load(Ordering::SeqCst) {
            0 => {}
            fiber => {
                if !hook::interrupt_fiber(fiber, bit, Interrupted::Restarts) {
                    wake();
                }
            }
        }
        Some(Ok(()))
    }
}
