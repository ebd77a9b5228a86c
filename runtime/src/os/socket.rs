//! Calls on descriptors that neither std nor socket2 offers for a borrowed one.

#![expect(unsafe_code, reason = "system calls")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use socket2::{SockAddr, SockRef};

use super::about::About;

/// What connect(2) says on a non-blocking socket that needs time.
pub(crate) const IN_PROGRESS: i32 = libc::EINPROGRESS;

/// Switches `O_NONBLOCK`; whether it was different before.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<bool> {
    // SAFETY: fcntl(2) with F_GETFL takes no pointer.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } as isize)? as libc::c_int;
    let wanted = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    if wanted != flags {
        // SAFETY: as above.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) } as isize)?;
    }
    Ok(wanted != flags)
}

/// Whether it is a regular file, a directory or a block device.
pub(crate) fn is_regular(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(matches!(About::of(fd)?.kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK))
}

pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is live and as long as said.
    check(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the slice is live and as long as said.
    check(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

pub(crate) fn read_vectored(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    // SAFETY: `IoSliceMut` has the layout of `iovec`, and each is a live buffer.
    check(unsafe { libc::readv(fd.as_raw_fd(), buffers.as_mut_ptr().cast(), vector_len(buffers.len())) })
}

pub(crate) fn write_vectored(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: `IoSlice` has the layout of `iovec`, and each is a live slice.
    check(unsafe { libc::writev(fd.as_raw_fd(), slices.as_ptr().cast(), vector_len(slices.len())) })
}

/// Receives from a connected socket without blocking, whatever its mode.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: the buffer is live and as long as said.
    check(unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) })
}

/// Sends on a connected socket without blocking, whatever its mode, and without a signal if it is broken.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the slice is live and as long as said.
    check(unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), SEND_FLAGS) })
}

/// [`receive`] from anybody; also the sender's address, of family 0 if it has none.
pub(crate) fn receive_from(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, SockAddr)> {
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes an address into the storage, and its length; the buffer is live and as long as said.
    unsafe {
        SockAddr::try_init(|storage, len| {
            let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
            check(libc::recvfrom(fd.as_raw_fd(), start, length, flags, storage.cast(), len))
        })
    }
}

/// [`send`] to an address.
pub(crate) fn send_to(fd: BorrowedFd<'_>, bytes: &[u8], address: &SockAddr) -> io::Result<usize> {
    SockRef::from(&fd).send_to_with_flags(bytes, address, SEND_FLAGS)
}

/// The process, user and group at the other end of a Unix socket; the process is 0 if it has no number here.
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<(i32, u32, u32)> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let (value, length) = ((&raw mut peer).cast(), &raw mut length);
    // SAFETY: the value and its length are live locals, and the length is the value's.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, length) }
        as isize)?;
    Ok((peer.pid, peer.uid, peer.gid))
}

/// [`receive`] into several buffers.
pub(crate) fn receive_vectored(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let mut message = message(buffers.as_mut_ptr().cast(), buffers.len());
    // SAFETY: `IoSliceMut` has the layout of `iovec`, each is a live buffer, and the header is a live local.
    check(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, libc::MSG_DONTWAIT) })
}

/// [`send`] from several slices.
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let message = message(slices.as_ptr().cast_mut().cast(), slices.len());
    // SAFETY: `IoSlice` has the layout of `iovec`, each is a live slice, and the header is a live local. The kernel
    // does not write through a header that it sends.
    check(unsafe { libc::sendmsg(fd.as_raw_fd(), &message, SEND_FLAGS) })
}

pub(super) const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Receives without taking.
pub(crate) const PEEK: libc::c_int = libc::MSG_PEEK;

/// Takes without looking: a TCP socket leaves the buffer as it is.
pub(crate) const DISCARD: libc::c_int = libc::MSG_TRUNC;

/// A header for a connected socket: buffers and nothing else.
fn message(buffers: *mut libc::iovec, len: usize) -> libc::msghdr {
    // SAFETY: all-zero is a valid header: no address, no buffers, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers;
    // The type of the length is the C library's choice.
    message.msg_iovlen = vector_len(len) as _;
    message
}

/// Accepts a connection; its socket is closed on exec.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    // SAFETY: the kernel writes an address into the storage, and its length.
    unsafe {
        SockAddr::try_init(|storage, len| {
            let accepted = libc::accept4(fd.as_raw_fd(), storage.cast(), len, libc::SOCK_CLOEXEC);
            let accepted = check(accepted as isize)? as libc::c_int;
            Ok(OwnedFd::from_raw_fd(accepted))
        })
    }
}

/// What an error of [`accept`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// One connection, which is gone; the next accept is another matter.
    Connection,
    /// Something has run out, and may be free again later.
    Resources,
    /// The listener, for good.
    Listener,
}

pub(crate) fn accept_error(error: &io::Error) -> AcceptError {
    match error.raw_os_error() {
        // Besides the first three, errors of the network that wait for the new connection: accept(2).
        Some(
            libc::ECONNABORTED
            | libc::EINTR
            | libc::EPERM
            | libc::ENETDOWN
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ECONNRESET
            | libc::ETIMEDOUT,
        ) => AcceptError::Connection,
        // EOPNOTSUPP may be the network's or the listener's, and what is not the system's is a user's listener's: both
        // may come again at once.
        Some(
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN | libc::EOPNOTSUPP,
        )
        | None => AcceptError::Resources,
        Some(_) => AcceptError::Listener,
    }
}

/// Whether there were no descriptors, or no memory.
pub(crate) fn has_run_out(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// A call takes at most this many buffers (`IOV_MAX`); the rest is left to the next one.
const MOST_BUFFERS: usize = 1024;

pub(super) fn vector_len(len: usize) -> libc::c_int {
    len.min(MOST_BUFFERS) as libc::c_int
}

/// How many bytes a call moves at most that is given buffers of these lengths: those that it takes.
pub(crate) fn vector_bytes(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.take(MOST_BUFFERS).sum()
}

/// The result of a system call that returns -1 and sets `errno`.
pub(super) fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
