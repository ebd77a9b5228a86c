//! `epoll(7)`, and the `eventfd(2)` that notifies a thread that waits in it.

#![expect(unsafe_code, reason = "system calls")]

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, retry_on_intr};

use super::futex::timespec;

/// One epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

/// The kernel's report about one descriptor: the key that it was added with, and `EPOLL*` bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) key: u64,
    pub(crate) bits: u32,
}

/// A buffer for the events of one wait.
pub(crate) struct EventBuffer(Box<[MaybeUninit<libc::epoll_event>]>);

impl EventBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Box::new_uninit_slice(capacity))
    }
}

/// Readable, or the peer has ended its half.
pub(crate) const READABLE: u32 = EventFlags::IN.union(EventFlags::RDHUP).bits();
/// Writable.
pub(crate) const WRITABLE: u32 = EventFlags::OUT.bits();
/// Both directions have ended or failed: every call returns at once.
pub(crate) const BROKEN: u32 = EventFlags::HUP.union(EventFlags::ERR).bits();
/// The peer sends no more: reads return at once.
pub(crate) const READ_ENDED: u32 = EventFlags::RDHUP.bits();

/// Urgent data has arrived: reads stop before it.
pub(crate) const URGENT: u32 = EventFlags::PRI.bits();

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Watches both directions of `fd`, edge-triggered. A direction that is ready already is reported as an event.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let events = EventFlags::from_bits_retain(READABLE | URGENT | WRITABLE) | EventFlags::ET;
        Ok(epoll::add(&self.0, fd, EventData::new_u64(key), events)?)
    }

    /// Watches `fd` again as [`add`](Self::add) did, whether or not it is still watched: a number may have been closed behind the
    /// runtime's back, and be another file's now. What is ready is reported again.
    #[cfg(feature = "own-tls")]
    pub(crate) fn renew(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let events = EventFlags::from_bits_retain(READABLE | URGENT | WRITABLE) | EventFlags::ET;
        match epoll::modify(&self.0, fd, EventData::new_u64(key), events) {
            Err(Errno::NOENT) => self.add(fd, key),
            result => Ok(result?),
        }
    }

    /// Watches `fd` for urgent data only.
    pub(crate) fn add_urgent(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.0, fd, EventData::new_u64(0), EventFlags::PRI)?)
    }

    /// Stops watching `fd`.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.0, fd)?)
    }

    /// Waits for events, at most for `timeout`, and passes them to `each`. Returns how many there were. A signal ends the wait
    /// early, with none. With a `timeout` of zero nothing does: a caller that is told of no events might then wait for an edge
    /// that has already come.
    pub(crate) fn wait(
        &self,
        buffer: &mut EventBuffer,
        timeout: Option<Duration>,
        mut each: impl FnMut(Event),
    ) -> io::Result<usize> {
        let is_look = timeout.is_some_and(|timeout| timeout.is_zero());
        let count = loop {
            match self.wait_raw(buffer, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted && is_look => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => break 0,
                other => break usize::try_from(other?).expect("a count"),
            }
        };
        for event in &buffer.0[..count] {
            // SAFETY: the kernel has written this many events.
            let event = unsafe { event.assume_init() };
            each(Event { key: event.u64, bits: event.events });
        }
        Ok(count)
    }

    fn wait_raw(&self, buffer: &mut EventBuffer, timeout: Option<Duration>) -> io::Result<libc::c_int> {
        let (events, capacity) = (buffer.0.as_mut_ptr().cast::<libc::epoll_event>(), buffer.0.len());
        let capacity = libc::c_int::try_from(capacity).expect("a small buffer");
        let fd = self.0.as_raw_fd();
        let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) else {
            let millis = if timeout.is_some() { 0 } else { -1 };
            // SAFETY: the buffer has room for `capacity` events.
            return check(unsafe { libc::epoll_wait(fd, events, capacity, millis) });
        };
        let exact = timespec(timeout);
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: as above; the timeout is a live local and there is no signal mask.
        let count =
            unsafe { libc::syscall(libc::SYS_epoll_pwait2, fd, events, capacity, &exact, no_mask, 0) };
        match check(libc::c_int::try_from(count).expect("a count or -1")) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                // Before Linux 5.11, and where a container's filter refuses calls that it does not know, the timeout is in
                // milliseconds. It is rounded up, so that the wait never ends early.
                let millis = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
                // SAFETY: as above.
                check(unsafe { libc::epoll_wait(fd, events, capacity, millis) })
            }
            other => other,
        }
    }
}

/// An epoll instance can itself be watched: it is readable while it has events.
impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor whose only purpose is to become readable.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Creates an eventfd and adds it to `epoll` with `key`.
    pub(crate) fn watched_by(epoll: &Epoll, key: u64) -> io::Result<Self> {
        let this = Self::new()?;
        this.add_to(epoll, key)?;
        Ok(this)
    }

    /// Adds the eventfd to `epoll` with `key`. It is edge-triggered, so it is never read: each notification is an edge.
    pub(crate) fn add_to(&self, epoll: &Epoll, key: u64) -> io::Result<()> {
        Ok(epoll::add(&epoll.0, &self.0, EventData::new_u64(key), EventFlags::IN | EventFlags::ET)?)
    }

    /// Makes the eventfd unreadable again, for one that is not in an epoll instance.
    #[cfg(feature = "own-tls")]
    pub(crate) fn reset(&self) {
        // It fails if the eventfd is not readable.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }

    /// Makes the eventfd readable. May be called in a signal handler. A lost notification would hang the program, so the process
    /// aborts if the kernel refuses the write.
    pub(crate) fn notify(&self) {
        loop {
            match rustix::io::write(&self.0, &1_u64.to_ne_bytes()) {
                Ok(8) => return,
                Err(Errno::INTR) => {}
                // After 2^64 - 2 notifications: the eventfd is readable, and stays so.
                Err(Errno::AGAIN) => return,
                other => cannot_wake(other.err().map_or(0, Errno::raw_os_error)),
            }
        }
    }
}

/// Aborts with a message. Neither allocates nor locks, since it may be called in a signal handler.
#[cold]
fn cannot_wake(errno: i32) -> ! {
    let mut text = [0_u8; 96];
    let mut rest = &mut text[..];
    let room = rest.len();
    // The message fits.
    let _ = writeln!(rest, "abaca: cannot wake a thread: writing to an eventfd failed (os error {errno})");
    let length = room - rest.len();
    let _ = rustix::io::write(rustix::stdio::stderr(), &text[..length]);
    // SAFETY: abort(3) may be called in a signal handler.
    unsafe { libc::abort() }
}

/// Waits with ppoll(2) until `fd` is readable (or writable), for plain threads. Returns false if the timeout has passed.
pub(crate) fn wait_one(fd: BorrowedFd<'_>, for_read: bool, timeout: Option<Duration>) -> io::Result<bool> {
    let events = if for_read { PollFlags::IN | PollFlags::RDHUP } else { PollFlags::OUT };
    let timeout = timeout.map(timespec);
    let count = poll(&mut [PollFd::from_borrowed_fd(fd, events)], timeout.as_ref())?;
    Ok(count > 0)
}

/// What has ended a wait for two epoll instances.
#[cfg(feature = "own-tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// The first of them, the eventfd, or a signal.
    Own,
    /// The second alone.
    Other,
    /// The timeout has passed.
    None,
}

/// Waits with ppoll(2) until one of the epoll instances has an event, or the eventfd is readable. A signal ends the wait early.
#[cfg(feature = "own-tls")]
pub(crate) fn wait_any(
    epoll: &Epoll,
    eventfd: &EventFd,
    other: Option<&Epoll>,
    timeout: Option<Duration>,
) -> Ready {
    let entry = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let [own, eventfd] = [entry(epoll.0.as_fd()), entry(eventfd.0.as_fd())];
    let timeout = timeout.map(timespec);
    let Some(other) = other else {
        let count = poll(&mut [own, eventfd], timeout.as_ref());
        return if count == Ok(0) { Ready::None } else { Ready::Own };
    };
    let mut entries = [own, eventfd, entry(other.0.as_fd())];
    match poll(&mut entries, timeout.as_ref()) {
        Ok(0) => Ready::None,
        Ok(1) if !entries[2].revents().is_empty() => Ready::Other,
        _ => Ready::Own,
    }
}

/// Whether there is urgent data, or the descriptor has failed or ended. For some files this call clears the state.
pub(crate) fn is_urgent(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(look(&mut [PollFd::from_borrowed_fd(fd, PollFlags::PRI)])? > 0)
}

/// poll(2) without a wait, which no signal can end.
fn look(entries: &mut [PollFd<'_>]) -> io::Result<usize> {
    Ok(retry_on_intr(|| poll(entries, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })))?)
}

/// Whether reading from the socket was shut down, or the peer sends no more.
pub(crate) fn reads_have_ended(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut entry = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    look(&mut entry)?;
    Ok(entry[0].revents().contains(PollFlags::RDHUP))
}

/// The result of a system call that returns -1 and sets `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
