//! Shutting down writes of a Unix socket. The kernel wakes its own waiters then, and the next call of a writer is an error; but a socket without room
//! has none afterwards either, so no event comes for the poller.
//!
//! A writer that is about to wait adds a [`Notifier`] and then checks whether writes are shut down. Who shuts them down sets the flag and then notifies
//! all. The notifiers' lock orders the two, as in `idle.rs`.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Descriptor;
use super::notifiers::Notifiers;
use crate::park;
use crate::poller::Notifier;

/// See the module's documentation. One for each socket: clones share it.
#[derive(Default)]
pub(super) struct Shut {
    is_shut: AtomicBool,
    writers: Notifiers,
}

impl Shut {
    fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
        self.writers.take().iter().for_each(|writer| writer.notify_writers(park::wake));
    }

    /// Called before a fiber waits for room. Whether it is to try again instead.
    fn announce(&self, writer: Notifier) -> bool {
        self.writers.add(writer);
        self.is_shut.load(Ordering::Relaxed)
    }
}

impl<T: AsFd> Descriptor<T> {
    /// Makes the call that shuts down writes of a Unix socket, and makes those who wait for room find it out.
    ///
    /// # Errors
    ///
    /// Those of `call`.
    pub(crate) fn shut_down_writes(&self, call: impl FnOnce(&T) -> io::Result<()>) -> io::Result<()> {
        call(self.get())?;
        self.settings().shut.shut();
        Ok(())
    }

    /// Called before the current fiber waits for room in a Unix socket. Whether it tries again instead, since writes are shut down.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl` if epoll cannot watch the descriptor.
    #[cold]
    pub(super) fn is_shut_for_writes(&self) -> io::Result<bool> {
        Ok(self.notifier()?.is_some_and(|writer| self.settings().shut.announce(writer)))
    }
}
