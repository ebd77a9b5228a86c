//! The settings of a descriptor, which its clones share as they share the kernel's object: timeouts, modes, and the bytes
//! that a copy has left.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Idle;
use super::shut::Shut;
use crate::os::socket;
use crate::poller::Direction;

/// The settings of one socket. The kernel keeps such things per socket, so clones share them.
#[derive(Default)]
pub(super) struct Settings {
    /// The user asked for errors instead of waits.
    pub(super) nonblocking: AtomicBool,
    /// Nanoseconds; 0 is no timeout.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
    /// Made when somebody asks for an `IdleHandle`.
    pub(super) idle: OnceLock<Arc<Idle>>,
    /// Of a Unix socket.
    pub(super) shut: Shut,
    in_kernel: Mutex<Copies>,
    /// Bytes that a copy has read and could not write: the next read returns them. Only for readers that cannot be peeked at;
    /// see `preview.rs`. A copy holds the lock for one step.
    pub(super) left: Mutex<Vec<u8>>,
}

/// The copies in the kernel that are under way; see `kernel_copy.rs`.
#[derive(Debug, Default)]
struct Copies {
    count: usize,
    /// Whether the last of them sets the kernel's mode: the first has switched `O_NONBLOCK` on, or the user has chosen since.
    must_restore: bool,
}

/// Keeps a descriptor in the kernel's non-blocking mode.
pub(crate) struct NonblockingGuard<'a> {
    settings: &'a Settings,
    fd: BorrowedFd<'a>,
}

impl Drop for NonblockingGuard<'_> {
    fn drop(&mut self) {
        let mut copies = self.settings.in_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        copies.count -= 1;
        if copies.count == 0 && std::mem::take(&mut copies.must_restore) {
            // It cannot fail for an open descriptor.
            let _ = socket::set_nonblocking(self.fd, self.settings.nonblocking.load(Ordering::Relaxed));
        }
    }
}

impl Settings {
    /// See [`Descriptor::set_nonblocking`](super::Descriptor::set_nonblocking).
    pub(super) fn set_nonblocking(&self, fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
        let mut copies = self.in_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.count == 0 {
            socket::set_nonblocking(fd, nonblocking)?;
        }
        copies.must_restore = copies.count > 0;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// See [`Descriptor::in_kernel`](super::Descriptor::in_kernel).
    pub(super) fn enter_kernel<'a>(&'a self, fd: BorrowedFd<'a>) -> io::Result<NonblockingGuard<'a>> {
        let mut copies = self.in_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        copies.must_restore |= socket::set_nonblocking(fd, true)?;
        copies.count += 1;
        Ok(NonblockingGuard { settings: self, fd })
    }

    pub(super) fn timeout(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Read => &self.read_timeout,
            Direction::Write => &self.write_timeout,
        }
    }
}
