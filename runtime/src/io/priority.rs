//! Waiting for what is urgent about a descriptor.
//!
//! The poller's registrations are for reading and writing, whose waits look again before they go on. Some files (pressure,
//! the table of mounts) forget what has happened when anybody looks, epoll included. So this has an epoll instance of its
//! own, which watches for nothing else and is itself watched by the poller: that it is readable is the event, and nobody
//! looks again.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

use super::{Descriptor, Kind};
use crate::cell::Reason;
use crate::os::epoll::{Epoll, is_urgent};
use crate::poller::Way;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Priority {
    /// Made by the first wait.
    events: OnceLock<Descriptor<Epoll>>,
    /// How many events of the poller waits have ended for.
    told: AtomicU32,
}

impl Priority {
    /// Waits until there is something urgent about `fd`, which is always the same.
    pub(super) fn wait(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let events = match self.events.get() {
            Some(events) => events,
            None => {
                let epoll = Epoll::new()?;
                epoll.add_urgent(fd)?;
                self.events.get_or_init(|| Descriptor::new(epoll, Kind::Other))
            }
        };
        // What lasts, such as urgent data that nobody has read, makes no event again.
        if is_urgent(fd)? {
            return Ok(());
        }
        events.wait_for_event(Way::Read, Reason::Read, &self.told)
    }
}
