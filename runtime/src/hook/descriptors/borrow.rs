//! A number that a program has passed to a call, whether a file is open under it or not.

#![expect(unsafe_code, reason = "descriptors are known by their numbers")]

use std::os::fd::{BorrowedFd, RawFd};

/// No file's number, as no negative one is: it is beyond what the kernel gives. Rust's types take -1 for no number at all, and rustix others.
const NONE: RawFd = RawFd::MAX;

/// The number, to be passed to system calls. One under which nothing is open has them fail with EBADF.
///
/// # Safety
///
/// The calls do no harm to whatever file is open under the number.
pub(super) unsafe fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: it is not -1, and the rest is the caller's promise.
    unsafe { BorrowedFd::borrow_raw(if fd < 0 { NONE } else { fd }) }
}
