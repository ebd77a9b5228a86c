//! Takes the place of `alarm.rs` under loom, which has no clock: it stores the time that it is set to, and no thread sleeps.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use loom::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Alarm(AtomicU64);

impl Alarm {
    pub(crate) fn new(_epoch: Instant) -> io::Result<Self> {
        Ok(Self(AtomicU64::new(u64::MAX)))
    }

    pub(crate) fn set(&self, at_ns: u64) {
        // AcqRel: the kernel sets a timer under a lock, so a later caller sees what an earlier one did before.
        self.0.swap(at_ns, Ordering::AcqRel);
    }

    pub(crate) fn wait(&self, _others: &[BorrowedFd<'_>]) {
        loom::thread::yield_now();
    }

    /// The time that the alarm is set to.
    #[cfg(test)]
    pub(crate) fn is_set_to(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
