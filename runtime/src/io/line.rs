//! Waiting in line for a descriptor: if many fibers wait on one listener, each connection wakes one of them.
//!
//! An event wakes the fiber that has waited longest. If its call succeeds, it wakes the next in line, since one event may
//! stand for several connections. If its call would block, nothing is left, and it wakes nobody. So a connection costs two
//! wake-ups, however many fibers wait. `poller/README.md` argues why no fiber is forgotten. This holds only for calls that
//! give every caller the same answer: if the call would block for one, it must block for all.

use std::io;
use std::os::fd::AsFd;

use super::Descriptor;
use super::awaiting::here;
use super::waited::Waited;
use crate::cell::Reason;
use crate::park::{self, Cost};
use crate::poller::{Direction, Entry};

/// Wakes the next in line when it is dropped, however the call of the woken fiber ends.
struct WakeNext<'a>(Entry<'a>);

impl WakeNext<'_> {
    /// Wakes nobody: nothing was left, and the next event wakes the next in line.
    fn dismiss(self) {
        std::mem::forget(self);
    }
}

impl Drop for WakeNext<'_> {
    fn drop(&mut self) {
        self.0.wake_next_in_line(park::wake);
    }
}

impl<T: AsFd> Descriptor<T> {
    /// [`retry`](Self::retry) for reading, in line with others.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    pub(crate) fn retry_in_line<R>(
        &self,
        reason: Reason,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut deadline = None;
        let mut wake_next: Option<WakeNext<'_>> = None;
        loop {
            let seen = self.source.snapshot(Direction::Read);
            let error = match call(self.get()) {
                Ok(result) => {
                    drop(wake_next);
                    park::spend(Cost::SystemCall);
                    return Ok(result);
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::WouldBlock => {
                    if let Some(wake_next) = wake_next.take() {
                        wake_next.dismiss();
                    }
                    if self.is_nonblocking() {
                        park::spend(Cost::TryFailed);
                        return Err(error);
                    }
                    match self.wait_with(true, here(), Direction::Read, reason, seen, &mut deadline)? {
                        Waited::Event(entry) => wake_next = entry.map(WakeNext),
                        Waited::GaveUp(gave_up) => return Err(gave_up.into_error()),
                    }
                }
                io::ErrorKind::Interrupted => {}
                _ => {
                    drop(wake_next);
                    // A caller that repeats the call may get the same error at once: EMFILE of an accept, until a
                    // descriptor is closed.
                    park::spend(Cost::TryFailed);
                    return Err(error);
                }
            }
        }
    }
}
