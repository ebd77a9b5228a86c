//! Reads and writes that do not wait, whatever mode the open file is in.
//!
//! `O_NONBLOCK` belongs to the open file, which other descriptors and other processes share: if a program leaves the terminal
//! non-blocking, its shell misbehaves. `RWF_NOWAIT` (Linux 4.14; for pipes 6.4) applies to one call.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use rustix::io::{ReadWriteFlags, preadv2, pwritev2};

/// If poll(2) says that a pipe is writable, this many bytes fit, unless another writer is faster: `PIPE_BUF`. A terminal may
/// have room for less, and takes the rest when it can.
pub(crate) const SURELY_FITS: usize = libc::PIPE_BUF;

/// No offset: the call uses, and moves, the file's position.
const HERE: u64 = u64::MAX;

/// The kernel's result of a call that would wait.
#[cfg(feature = "own-tls")]
pub(crate) const WOULD_BLOCK: isize = -(libc::EAGAIN as isize);

/// The kernel's result of a call on a number that is not open.
#[cfg(feature = "own-tls")]
pub(crate) const NOT_OPEN: isize = -(libc::EBADF as isize);

/// The flag for an open(2) in non-blocking mode, which does not wait for the other end of a FIFO.
pub(crate) const OPEN: i32 = libc::O_NONBLOCK;

/// The flags of open(2) each of which keeps it from waiting for the other end of a FIFO.
pub(crate) const OPENS: i32 = libc::O_NONBLOCK | libc::O_PATH;

/// Whether this is the error of open(2) for writing to a FIFO that has no reader.
pub(crate) fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// Reads the bytes that are available.
///
/// # Errors
///
/// * [`ErrorKind::WouldBlock`](io::ErrorKind::WouldBlock): there are no bytes.
/// * An error that [`is_unsupported`]: the kernel cannot read from this file without waiting.
/// * Any other error of preadv2(2).
pub(crate) fn read(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    Ok(preadv2(fd, buffers, HERE, ReadWriteFlags::NOWAIT)?)
}

/// Writes as many bytes as there is room for.
///
/// # Errors
///
/// * [`ErrorKind::WouldBlock`](io::ErrorKind::WouldBlock): there is no room.
/// * An error that [`is_unsupported`]: the kernel cannot write to this file without waiting.
/// * Any other error of pwritev2(2).
pub(crate) fn write(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(pwritev2(fd, slices, HERE, ReadWriteFlags::NOWAIT)?)
}

/// Whether the error means that the kernel cannot make the call without waiting for this kind of file: a terminal, a FIFO, an
/// old kernel's pipe.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

/// Whether the error means that epoll cannot watch this kind of file: it always counts as ready, and yet its calls block.
pub(crate) fn is_unpollable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}

/// Whether the error means that the kernel wakes no more epoll instances by way of others for one file: it lets 500 do so.
pub(crate) fn has_too_many_watchers(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Whether the error means that the descriptor is not open, as in a program that was started with its standard streams closed.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBADF)
}
