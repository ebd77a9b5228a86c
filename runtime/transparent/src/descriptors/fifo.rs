//! The end of a FIFO that nobody has opened to write since its reader has opened it: a read is told of it, poll(2) and epoll(7) are not.

#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;

use super::kind::{Kind, kind_of};
use crate::kernel::kernel;

/// Whether a read of this descriptor, of which no event tells that there is something, is the end at once: it is a FIFO without a writer.
/// A copy that takes nothing asks the kernel, and leaves the file's mode alone.
pub(crate) fn has_no_writer(fd: c_int) -> bool {
    if kind_of(fd) != Kind::Fifo {
        return false;
    }
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two numbers.
    if unsafe { kernel!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return false;
    }
    // SAFETY: no memory is involved.
    let copied = unsafe { kernel!(libc::SYS_tee, fd, ends[1], 1, libc::SPLICE_F_NONBLOCK) };
    for end in ends {
        // SAFETY: nobody else knows the number.
        unsafe { kernel!(libc::SYS_close, end) };
    }
    copied == 0
}
