//! An alarm clock: one thread sleeps until it rings, others may put it forward meanwhile, without waking that thread
//! (`timerfd`).

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
        // SAFETY: the descriptor was just made and is nobody else's.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, epoch })
    }

    /// Rings at this time, and no more at the one that was set before. A time that has passed rings at once.
    pub(crate) fn set(&self, at_ns: u64) {
        // Zero would turn it off.
        let left =
            Duration::from_nanos(at_ns).saturating_sub(self.epoch.elapsed()).max(Duration::from_nanos(1));
        let zero = timespec(Duration::ZERO);
        let spec = libc::itimerspec { it_interval: zero, it_value: timespec(left) };
        // SAFETY: the descriptor is a timer's, and the time is a live local. It cannot fail with a valid time.
        unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
    }

    /// Sleeps until it rings, or has rung since the last call. May return early.
    ///
    /// # Panics
    ///
    /// If somebody has closed the descriptor behind our back.
    pub(crate) fn wait(&self) {
        let mut times = 0_u64;
        // SAFETY: read(2) writes 8 bytes to a live local.
        let result = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut times).cast(), 8) };
        let error = io::Error::last_os_error();
        assert!(result == 8 || error.kind() == io::ErrorKind::Interrupted, "read of a timer: {error}");
    }
}
