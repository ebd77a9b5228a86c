//! Descriptors of processes.

#![expect(unsafe_code, reason = "a system call")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A descriptor of the child `id`, which becomes readable when it ends (Linux 5.3).
///
/// The caller has not waited for that child yet, so the number is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes numbers; the descriptor is closed on exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id as libc::pid_t, 0) };
    let fd = super::socket::check(fd as isize)?;
    // SAFETY: the descriptor was just made and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
