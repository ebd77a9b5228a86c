//! Readiness by epoll(7), level-triggered, with as few system calls as that allows: a descriptor stays in the set with
//! what was last wanted of it, and is taken out when it reports what nobody waits for.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::session::Way;

/// An epoll set.
pub(super) struct Readiness {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// What the set was last told about one descriptor.
#[derive(Debug, Default)]
pub(super) struct Watch(Option<EventFlags>);

/// Events of one call.
const BATCH: usize = 256;

impl Readiness {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(BATCH) })
    }

    /// Reports `key` while the descriptor is ready for `way`.
    pub(super) fn want(&self, fd: BorrowedFd<'_>, watch: &mut Watch, key: u64, way: Way) -> io::Result<()> {
        let flags = if way == Way::Read { EventFlags::IN } else { EventFlags::OUT };
        let data = EventData::new_u64(key);
        match watch.0 {
            None => epoll::add(&self.epoll, fd, data, flags)?,
            Some(told) if told != flags => epoll::modify(&self.epoll, fd, data, flags)?,
            Some(_) => {}
        }
        watch.0 = Some(flags);
        Ok(())
    }

    /// Reports nothing about a descriptor any more, not even that it is closed, until it is wanted again.
    pub(super) fn forget(&self, fd: BorrowedFd<'_>, watch: &mut Watch) -> io::Result<()> {
        if watch.0.take().is_some() {
            epoll::delete(&self.epoll, fd)?;
        }
        Ok(())
    }

    /// Waits for events; their keys go to `keys`. Returns without any after `timeout`.
    pub(super) fn wait(&mut self, timeout: Option<Duration>, keys: &mut Vec<u64>) -> io::Result<()> {
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            waited => drop(waited?),
        }
        keys.extend(self.events.iter().map(|event| event.data.u64()));
        Ok(())
    }
}
