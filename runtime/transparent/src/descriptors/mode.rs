//! O_NONBLOCK for the time of a call that has no flag of its own. The mode is the open file's, which others may share: it is changed for no
//! longer than one system call.

#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;

use abaca::hook::descriptors::{in_changed_mode, in_turn};

use crate::answer::failed;
use crate::kernel::kernel;

/// Makes a call while the file is in non-blocking mode.
pub(super) fn without_waiting(fd: c_int, call: impl FnOnce() -> isize) -> isize {
    let in_mode = || {
        // SAFETY: no memory is involved, here and below.
        let flags = unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_GETFL) };
        if flags < 0 || flags as c_int & libc::O_NONBLOCK != 0 {
            return call();
        }
        in_changed_mode(fd, || {
            // SAFETY: as above.
            unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_SETFL, flags | libc::O_NONBLOCK as isize) };
            let result = call();
            // SAFETY: as above.
            unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_SETFL, flags) };
            result
        })
    };
    in_turn(fd, in_mode).unwrap_or(failed(libc::ECANCELED))
}
