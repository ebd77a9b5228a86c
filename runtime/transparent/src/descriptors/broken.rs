//! Connections that break while a call has moved a part. The kernel's call ends with the part, and leaves the error to the next one: so no attempt is
//! made that would take it.

#![expect(unsafe_code, reason = "a system call")]

use std::ffi::c_int;

use libc::{FIONREAD, POLLERR, POLLHUP};

use super::connect::option;
use super::poll::look_at;
use crate::kernel::kernel;

/// Whether a connection is broken, so that a call which has moved a part ends. Of a Unix socket the kernel's own call takes the error as well.
pub(super) fn is_broken(fd: c_int) -> bool {
    // POLLERR alone may tell of messages for MSG_ERRQUEUE.
    look_at(fd, 0).is_ok_and(|found| found & POLLERR != 0 && found & POLLHUP != 0)
        && [Some(libc::AF_INET), Some(libc::AF_INET6)].contains(&option(fd, libc::SO_DOMAIN))
}

/// The same of one from which nothing more is to be read.
pub(super) fn is_broken_and_empty(fd: c_int) -> bool {
    let mut bytes: c_int = 0;
    // SAFETY: the kernel writes a number.
    is_broken(fd) && unsafe { kernel!(libc::SYS_ioctl, fd, FIONREAD, &raw mut bytes) } == 0 && bytes == 0
}
