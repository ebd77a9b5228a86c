//! Reading and writing without waiting, whatever mode the open file is in.
//!
//! `O_NONBLOCK` belongs to the open file, which other descriptors and other processes share: a shell whose terminal a
//! program left non-blocking is a shell that misbehaves. `RWF_NOWAIT` (Linux 4.14; for pipes 6.4) asks per call.

#![expect(unsafe_code, reason = "system calls")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::socket::{check, vector_len};

/// How many bytes a pipe has room for of which poll(2) says that it is writable, unless somebody else is faster: `PIPE_BUF`.
/// A terminal has less, and takes them when it can.
pub(crate) const SURELY_FITS: usize = libc::PIPE_BUF;

/// No offset: the call uses, and moves, the file's position.
const HERE: libc::c_long = -1;

/// Reads what there is.
///
/// # Errors
///
/// `WouldBlock` if there is nothing; see also [`is_unsupported`].
pub(crate) fn read(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let (start, count) = (buffers.as_mut_ptr().cast::<libc::iovec>(), vector_len(buffers.len()));
    // SAFETY: `IoSliceMut` has the layout of `iovec`, and each is a live buffer.
    let moved = unsafe {
        libc::syscall(libc::SYS_preadv2, fd.as_raw_fd(), start, count, HERE, HERE, libc::RWF_NOWAIT)
    };
    check(moved as isize)
}

/// Writes as much as there is room for.
///
/// # Errors
///
/// `WouldBlock` if there is none; see also [`is_unsupported`].
pub(crate) fn write(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let (start, count) = (slices.as_ptr().cast::<libc::iovec>(), vector_len(slices.len()));
    // SAFETY: `IoSlice` has the layout of `iovec`, and each is a live slice.
    let moved = unsafe {
        libc::syscall(libc::SYS_pwritev2, fd.as_raw_fd(), start, count, HERE, HERE, libc::RWF_NOWAIT)
    };
    check(moved as isize)
}

/// Whether the kernel cannot make the call without waiting on such a file: a terminal, a FIFO, an old kernel's pipe.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

/// Whether epoll cannot watch such a file: it is always ready, and blocks all the same.
pub(crate) fn is_unpollable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}

/// Whether there is no such descriptor: a program started with its standard streams closed.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBADF)
}
