//! Descriptors of processes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor of the child `id`, which becomes readable when it ends (Linux 5.3). It is closed on exec.
///
/// The caller has not waited for that child yet, so the number is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(id, PidfdFlags::empty())?)
}
