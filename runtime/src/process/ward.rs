//! A child in our care: how it is waited for, and that it leaves no zombie, whatever becomes of its handle.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{self, ExitStatus};
use std::time::{Duration, Instant};

use super::orphans;
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::poller::Way;
use crate::pool::Lease;
use crate::{os, time};

/// How long a wait for a child that has no pidfd sleeps between two looks: this, and then twice as long each time up to the
/// longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// See the module's documentation.
pub(super) struct Ward {
    /// `Some` until it is dropped.
    child: Option<process::Child>,
    /// Readable when the child has ended; made at the first wait.
    pidfd: Option<Descriptor<OwnedFd>>,
    /// The thread that is the child's parent goes on until the child's end is known.
    lease: Option<Lease>,
    kill_on_drop: bool,
}

impl Ward {
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

    /// Waits until the child has ended. `None` when the deadline has passed.
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
        let waited = pidfd.retry(Way::Read, Reason::Process, deadline, look, |_| false);
        self.pidfd = Some(pidfd);
        match waited {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // What cannot be watched, for want of memory say, can still be looked at.
            Err(_) => self.look_until(deadline),
            Ok(status) => Ok(Some(status)),
        }
    }

    /// [`wait_until`](Self::wait_until) without a pidfd: no thread waits instead, since it could not be called back.
    #[cold]
    fn look_until(&mut self, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
        let mut pause = FIRST_PAUSE;
        loop {
            let status = self.try_wait()?;
            let now = Instant::now();
            if status.is_some() || deadline.is_some_and(|at| now >= at) {
                return Ok(status);
            }
            time::sleep_until(deadline.map_or(now + pause, |at| at.min(now + pause)));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let pidfd = self.pidfd.take().map(Descriptor::into_inner);
        let Some(mut child) = self.child.take() else { return };
        // With an error, somebody else has waited for it.
        if let Ok(None) = child.try_wait() {
            if self.kill_on_drop {
                // It cannot fail: the child is ours, and has not been waited for.
                let _ = child.kill();
            }
            orphans::adopt(child, pidfd, self.lease.take());
        }
    }
}
