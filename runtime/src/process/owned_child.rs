//! A child of this process: it is waited for through its pidfd, and leaves no zombie when it is dropped.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{self, ExitStatus};
use std::time::Instant;

use super::orphans;
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os;
use crate::poller::Direction;
use crate::pool::Lease;
use crate::time::{self, Pauses};

/// See the module's documentation.
pub(super) struct OwnedChild {
    /// `None` only in `drop`.
    child: Option<process::Child>,
    /// Readable once the child has ended. Made at the first wait.
    pidfd: Option<Descriptor<OwnedFd>>,
    /// Keeps the child's parent thread alive until the child's end is known.
    lease: Option<Lease>,
    kill_on_drop: bool,
}

impl OwnedChild {
    pub(super) fn new(child: process::Child, lease: Option<Lease>, kill_on_drop: bool) -> Self {
        Self { child: Some(child), pidfd: None, lease, kill_on_drop }
    }

    fn child(&mut self) -> &mut process::Child {
        self.child.as_mut().expect("taken out only by `drop`")
    }

    pub(super) fn id(&self) -> u32 {
        self.child.as_ref().expect("taken out only by `drop`").id()
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child().kill()
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child().try_wait()?;
        if status.is_some() {
            self.lease = None;
        }
        Ok(status)
    }

    /// Waits until the child has ended. `None` if the deadline passes first.
    pub(super) fn wait_until(&mut self, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.try_wait()? {
            return Ok(Some(status));
        }
        let pidfd = match self.pidfd.take() {
            None => os::process::pidfd(self.id()).map(|fd| Descriptor::new(fd, Kind::Other)),
            Some(pidfd) => Ok(pidfd),
        };
        let Ok(pidfd) = pidfd else { return self.look_until(deadline) };
        let look = |_: &OwnedFd| match self.try_wait()? {
            Some(status) => Ok(status),
            None => Err(io::ErrorKind::WouldBlock.into()),
        };
        let waited = pidfd.retry(Direction::Read, Reason::Process, deadline, look, |_| false);
        self.pidfd = Some(pidfd);
        match waited {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // A child that cannot be watched, for want of memory say, can still be looked at.
            Err(_) => self.look_until(deadline),
            Ok(status) => Ok(Some(status)),
        }
    }

    /// [`wait_until`](Self::wait_until) without a pidfd. No thread waits instead, since it could not be interrupted.
    #[cold]
    fn look_until(&mut self, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
        let mut pauses = Pauses::new();
        loop {
            let status = self.try_wait()?;
            let now = Instant::now();
            if status.is_some() || deadline.is_some_and(|at| now >= at) {
                return Ok(status);
            }
            let soon = now + pauses.next_pause();
            time::sleep_until(deadline.map_or(soon, |at| at.min(soon)));
        }
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        let pidfd = self.pidfd.take().map(Descriptor::into_inner);
        let Some(mut child) = self.child.take() else { return };
        // An error means that other code has waited for the child.
        if let Ok(None) = child.try_wait() {
            if self.kill_on_drop {
                // It cannot fail: the child is this process's, and nobody has waited for it.
                let _ = child.kill();
            }
            orphans::reap_later(child, pidfd, self.lease.take());
        }
    }
}
