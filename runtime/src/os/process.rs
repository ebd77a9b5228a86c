//! Descriptors of processes.

#![expect(unsafe_code, reason = "a system call")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A descriptor for the child process `id`, which becomes readable when the child ends (Linux 5.3).
///
/// The caller must not have waited for the child yet, so that the id is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes numbers; the descriptor is closed on exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id as libc::pid_t, 0) };
    let fd = super::socket::check(fd as isize)?;
    // SAFETY: the descriptor was just made, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
