//! `epoll(7)` and the `eventfd(2)` that pokes a thread out of it.

#![expect(unsafe_code, reason = "system calls")]

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::futex::timespec;

/// One epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

/// What the kernel reports of one descriptor: the key it was added with, and `EPOLL*` bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) key: u64,
    pub(crate) bits: u32,
}

/// Room for the events of one wait.
pub(crate) struct EventBuffer(Box<[MaybeUninit<libc::epoll_event>]>);

impl EventBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Box::new_uninit_slice(capacity))
    }
}

/// Readable, or the peer has ended its half.
pub(crate) const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
/// Writable.
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;
/// Both directions are over, or failed: every call says so at once.
pub(crate) const BROKEN: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
/// The peer sends no more: reads end at once.
pub(crate) const READ_ENDED: u32 = libc::EPOLLRDHUP as u32;

/// Urgent data has come: reads stop short of it.
pub(crate) const URGENT: u32 = libc::EPOLLPRI as u32;

const EDGES: u32 = libc::EPOLLET as u32;

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1(2) takes flags.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor was just made and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches both directions of `fd`, edge-triggered. What is ready already is reported as an event.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: READABLE | URGENT | WRITABLE | EDGES, u64: key };
        // SAFETY: both descriptors are open, and the event is a live local.
        check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event)
        })?;
        Ok(())
    }

    /// Watches for what is urgent about `fd`, and nothing else.
    pub(crate) fn add_urgent(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut event = libc::epoll_event { events: URGENT, u64: 0 };
        // SAFETY: both descriptors are open, and the event is a live local.
        check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event)
        })?;
        Ok(())
    }

    /// Stops watching `fd`.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let no_event = std::ptr::null_mut();
        // SAFETY: both descriptors are open; the kernel ignores the event.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), no_event) })?;
        Ok(())
    }

    /// Waits for events, at most for `timeout`, and passes them on. A signal ends the wait early, with none. Without a wait (a
    /// `timeout` of zero) nothing does: who is told that there are none may wait for an edge that has been.
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
                // Before Linux 5.11, and where a container's filter refuses calls that it does not know, there are only
                // milliseconds, rounded up so as never to be early.
                let millis = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
                // SAFETY: as above.
                check(unsafe { libc::epoll_wait(fd, events, capacity, millis) })
            }
            other => other,
        }
    }
}

/// An epoll instance can be watched itself: it is readable when it has events.
impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor whose only use is to become readable.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd(2) takes numbers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the descriptor was just made and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes one and adds it to `epoll` under `key`.
    pub(crate) fn watched_by(epoll: &Epoll, key: u64) -> io::Result<Self> {
        let this = Self::new()?;
        this.add_to(epoll, key)?;
        Ok(this)
    }

    /// Adds it to `epoll` under `key`. It is edge-triggered, so it is never read: each poke is an edge.
    pub(crate) fn add_to(&self, epoll: &Epoll, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32 | EDGES, u64: key };
        let (epoll, fd) = (epoll.0.as_raw_fd(), self.0.as_raw_fd());
        // SAFETY: both descriptors are open, and the event is a live local.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        Ok(())
    }

    /// May be called in a signal handler. A wake-up that is lost would hang whoever waits for it, so a kernel that refuses it
    /// ends the process.
    pub(crate) fn poke(&self) {
        let one = 1_u64;
        loop {
            // SAFETY: write(2) reads 8 bytes of a live local.
            if unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) } == 8 {
                return;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                // After 2^64 - 2 pokes: it is readable, and stays so.
                Some(libc::EAGAIN) => return,
                errno => cannot_wake(errno.unwrap_or(0)),
            }
        }
    }
}

/// Aborts with a message; neither allocates nor locks, since it may be called in a signal handler.
#[cold]
fn cannot_wake(errno: i32) -> ! {
    let mut text = [0_u8; 96];
    let mut rest = &mut text[..];
    let room = rest.len();
    // It fits.
    let _ = writeln!(rest, "abaca: cannot wake a thread: writing to an eventfd failed (os error {errno})");
    let length = room - rest.len();
    // SAFETY: the buffer is a live local and longer than said.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), length) };
    // SAFETY: abort(3) may be called in a signal handler.
    unsafe { libc::abort() }
}

/// Waits with poll(2) until `fd` is readable (or writable), for plain threads. False when the deadline passed.
pub(crate) fn wait_one(fd: BorrowedFd<'_>, for_read: bool, timeout: Option<Duration>) -> io::Result<bool> {
    let events = if for_read { libc::POLLIN | libc::POLLRDHUP } else { libc::POLLOUT };
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let timeout = timeout.map(timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the entry and the timeout are live locals; there is no signal mask.
    let count = check(unsafe { libc::ppoll(&mut entry, 1, timeout, std::ptr::null()) })?;
    Ok(count > 0)
}

/// Whether there is something urgent, or the descriptor has failed or ended. Some files forget it when they are asked.
pub(crate) fn is_urgent(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    Ok(look(&mut entry)? > 0)
}

/// poll(2) of one descriptor without a wait, which no signal ends.
fn look(entry: &mut libc::pollfd) -> io::Result<libc::c_int> {
    loop {
        // SAFETY: the entry is live, and one.
        match check(unsafe { libc::poll(entry, 1, 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Whether reading from the socket was shut down, or the peer sends no more.
pub(crate) fn reads_have_ended(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    look(&mut entry)?;
    Ok(entry.revents & libc::POLLRDHUP != 0)
}

/// The result of a system call that returns -1 and sets `errno`.
fn check(result: libc::c_int) -> io::Result<RawFd> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
