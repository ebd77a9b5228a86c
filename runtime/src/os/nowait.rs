//! Reading and writing without waiting, whatever mode the open file is in.
//!
//! `O_NONBLOCK` belongs to the open file, which other descriptors and other processes share: a shell whose terminal a
//! program left non-blocking is a shell that misbehaves. `RWF_NOWAIT` (Linux 4.14; for pipes 6.4) asks per call.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use rustix::io::{ReadWriteFlags, preadv2, pwritev2};

/// How many bytes a pipe has room for of which poll(2) says that it is writable, unless somebody else is faster: `PIPE_BUF`.
/// A terminal has less, and takes them when it can.
pub(crate) const SURELY_FITS: usize = libc::PIPE_BUF;

/// No offset: the call uses, and moves, the file's position.
const HERE: u64 = u64::MAX;

/// Opens in non-blocking mode: of a FIFO, open(2) does not wait for the other end.
pub(crate) const OPEN: i32 = libc::O_NONBLOCK;

/// Any of them, and an open waits for nobody.
pub(crate) const OPENS: i32 = libc::O_NONBLOCK | libc::O_PATH;

/// Whether it is what open(2) says of a FIFO that is to be written to, and that nobody reads.
pub(crate) fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// Reads what there is.
///
/// # Errors
///
/// `WouldBlock` if there is nothing; see also [`is_unsupported`].
pub(crate) fn read(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    Ok(preadv2(fd, buffers, HERE, ReadWriteFlags::NOWAIT)?)
}

/// Writes as much as there is room for.
///
/// # Errors
///
/// `WouldBlock` if there is none; see also [`is_unsupported`].
pub(crate) fn write(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(pwritev2(fd, slices, HERE, ReadWriteFlags::NOWAIT)?)
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
