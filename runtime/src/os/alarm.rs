//! An alarm clock (`timerfd`): one thread sleeps until it goes off; others may set it to an earlier time meanwhile, without
//! waking that thread.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::futex::timespec;

/// See the module's documentation. Its times are nanoseconds since `epoch`.
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: OwnedFd,
    epoch: Instant,
}

impl Alarm {
    pub(crate) fn new(epoch: Instant) -> io::Result<Self> {
        // SAFETY: timerfd_create(2) takes numbers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, and nothing else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, epoch })
    }

    /// Sets the alarm to this time; the time that was set before no longer counts. If the time has passed, the alarm goes off
    /// at once.
    pub(crate) fn set(&self, at_ns: u64) {
        // Zero would turn the timer off.
        let left =
            Duration::from_nanos(at_ns).saturating_sub(self.epoch.elapsed()).max(Duration::from_nanos(1));
        let zero = timespec(Duration::ZERO);
        let spec = libc::itimerspec { it_interval: zero, it_value: timespec(left) };
        // SAFETY: the descriptor is a timer's, and the time is a live local. The call cannot fail with a valid time.
        unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
    }

    /// Sleeps until the alarm goes off. Returns at once if it has gone off since the last call. May return early.
    ///
    /// # Panics
    ///
    /// If the descriptor was closed behind our back.
    pub(crate) fn wait(&self) {
        let mut times = 0_u64;
        // SAFETY: read(2) writes 8 bytes to a live local.
        let result = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut times).cast(), 8) };
        let error = io::Error::last_os_error();
        assert!(result == 8 || error.kind() == io::ErrorKind::Interrupted, "read of a timer: {error}");
    }
}
