//! An alarm clock (`timerfd`): one thread sleeps until it goes off; others may set it to an earlier time meanwhile, without
//! waking that thread.

use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::futex::timespec;

/// See the module's documentation. Its times are nanoseconds since `epoch`.
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: OwnedFd,
    epoch: Instant,
}

impl Alarm {
    pub(crate) fn new(epoch: Instant) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        Ok(Self { fd, epoch })
    }

    /// Sets the alarm to this time; the time that was set before no longer counts. If the time has passed, the alarm goes off
    /// at once.
    pub(crate) fn set(&self, at_ns: u64) {
        // Zero would turn the timer off.
        let left =
            Duration::from_nanos(at_ns).saturating_sub(self.epoch.elapsed()).max(Duration::from_nanos(1));
        let spec = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(left) };
        // The call cannot fail with a timer and a valid time.
        let _ = timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &spec);
    }

    /// Sleeps until the alarm goes off, or one of the `others` is readable. Returns at once if it has gone off since the last call. May
    /// return early.
    ///
    /// # Panics
    ///
    /// If the descriptor was closed behind our back.
    pub(crate) fn wait(&self, others: &[BorrowedFd<'_>]) {
        if !others.is_empty() {
            let entry = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            let mut entries: Vec<_> =
                iter::once(self.fd.as_fd()).chain(others.iter().copied()).map(entry).collect();
            if !poll(&mut entries, None).is_ok_and(|_| entries[0].revents().contains(PollFlags::IN)) {
                return;
            }
        }
        let result = rustix::io::read(&self.fd, &mut [0_u8; 8]);
        assert!(matches!(result, Ok(8) | Err(Errno::INTR)), "read of a timer: {result:?}");
    }
}
