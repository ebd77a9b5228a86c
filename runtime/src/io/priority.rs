//! Waiting for an urgent event of a descriptor (`EPOLLPRI`).
//!
//! The poller watches for reading and writing, and its waits check again before they go on. Some files (pressure, the table
//! of mounts) report an event once: the check, by epoll or anybody, takes it. So this has an epoll instance of its own, which
//! watches for `EPOLLPRI` only and is itself watched by the poller. That it has become readable is the event, and nobody
//! checks again.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

use super::{Descriptor, Kind};
use crate::cell::Reason;
use crate::os::epoll::{Epoll, is_urgent};
use crate::poller::Direction;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Priority {
    /// Made by the first wait.
    events: OnceLock<Descriptor<Epoll>>,
    /// How many of the poller's events have ended a wait.
    told: AtomicU32,
}

impl Priority {
    /// Waits for an urgent event of `fd`, which is the same in all calls.
    pub(super) fn wait(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let events = match self.events.get() {
            Some(events) => events,
            None => {
                let epoll = Epoll::new()?;
                epoll.add_urgent(fd)?;
                self.events.get_or_init(|| Descriptor::new(epoll, Kind::Other))
            }
        };
        // A state that lasts, such as urgent data that nobody has read, makes no new event.
        if is_urgent(fd)? {
            return Ok(());
        }
        events.wait_for_event(Direction::Read, Reason::Read, &self.told)
    }
}
