//! Calls on descriptors that neither std nor socket2 offers for a borrowed one.
//!
//! Most calls are rustix's. The calls with addresses use socket2's type, from which std's and Unix addresses are made. The calls
//! with several buffers take a header without an address, which costs nothing to decode.

#![expect(unsafe_code, reason = "system calls")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl};
pub(crate) use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use socket2::{SockAddr, SockRef};

use super::about::About;

/// The error of connect(2) on a non-blocking socket while the connection is being made.
pub(crate) const IN_PROGRESS: i32 = libc::EINPROGRESS;

/// The kernel's error of a call that would wait.
pub(crate) fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}

/// Sets or clears `O_NONBLOCK`. Returns whether that was a change.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<bool> {
    let flags = fcntl_getfl(fd)?;
    let mut wanted = flags;
    wanted.set(OFlags::NONBLOCK, nonblocking);
    if wanted != flags {
        fcntl_setfl(fd, wanted)?;
    }
    Ok(wanted != flags)
}

/// Whether the descriptor is a regular file, a directory or a block device.
pub(crate) fn is_regular(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let kind = About::of(fd)?.kind;
    Ok(matches!(kind, FileType::RegularFile | FileType::Directory | FileType::BlockDevice))
}

/// Whether the open file is in non-blocking mode; true if it is not open.
#[cfg(feature = "own-tls")]
#[inline]
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
    fcntl_getfl(fd).map_or(true, |flags| flags.contains(OFlags::NONBLOCK))
}

/// What all descriptors of an open file have in common; 0 if it is not open.
#[cfg(feature = "own-tls")]
pub(crate) fn inode(fd: BorrowedFd<'_>) -> u64 {
    rustix::fs::fstat(fd).map_or(0, |about| about.st_ino)
}

/// Whether exec(2) closes the descriptor; false if it is not open.
#[cfg(feature = "own-tls")]
pub(crate) fn is_closed_by_exec(fd: BorrowedFd<'_>) -> bool {
    rustix::io::fcntl_getfd(fd).is_ok_and(|flags| flags.contains(rustix::io::FdFlags::CLOEXEC))
}

/// How long a call of a socket may wait, to read or to write; `None` is for ever, and for what is no socket.
#[cfg(feature = "own-tls")]
pub(crate) fn timeout(fd: BorrowedFd<'_>, reads: bool) -> Option<std::time::Duration> {
    use rustix::net::sockopt::{Timeout, socket_timeout};
    socket_timeout(fd, if reads { Timeout::Recv } else { Timeout::Send }).ok().flatten()
}

/// Whether the descriptor is a stream socket of TCP. Others of the same families keep messages apart, as SCTP's do.
pub(crate) fn is_tcp_stream(fd: BorrowedFd<'_>) -> bool {
    use rustix::net::{SocketType, ipproto, sockopt};
    sockopt::socket_type(fd).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_protocol(fd).is_ok_and(|protocol| protocol == Some(ipproto::TCP))
}

pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd, buffer)?)
}

pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, bytes)?)
}

pub(crate) fn read_vectored(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    Ok(rustix::io::readv(fd, buffers)?)
}

pub(crate) fn write_vectored(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(fd, slices)?)
}

/// Receives from a connected socket without blocking, whatever its mode.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    // The second number is the length of a datagram that was longer, or of the discarded bytes.
    let (_, length) = rustix::net::recv(fd, buffer, flags | RecvFlags::DONTWAIT)?;
    Ok(length)
}

/// [`receive`] into memory that may be uninitialized. So many bytes of it are written.
#[cfg(feature = "hyper")]
pub(crate) fn receive_into(
    fd: BorrowedFd<'_>,
    buffer: &mut [std::mem::MaybeUninit<u8>],
    flags: RecvFlags,
) -> io::Result<usize> {
    let (_, length) = rustix::net::recv(fd, &mut *buffer, flags | RecvFlags::DONTWAIT)?;
    Ok(length.min(buffer.len()))
}

/// Sends on a connected socket without blocking, whatever its mode, and without SIGPIPE if the connection is broken.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// [`receive`] from any sender. Also returns the sender's address, of family 0 if it has none.
pub(crate) fn receive_from(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, SockAddr)> {
    let flags = (flags | RecvFlags::DONTWAIT).bits() as libc::c_int;
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

/// The process, user and group at the other end of a Unix socket. The process is 0 if it has no id in this namespace.
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<(i32, u32, u32)> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let (value, length) = ((&raw mut peer).cast(), &raw mut length);
    // SAFETY: the value and its length are live locals, and the length is the value's.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, length) }
        as isize)?;
    Ok((peer.pid, peer.uid, peer.gid))
}

/// [`receive`] into several buffers. Without room it takes nothing and waits for nothing, as readv(2), which std calls; recvmsg(2)
/// would wait.
pub(crate) fn receive_vectored(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    if buffers.iter().take(MOST_BUFFERS).all(|buffer| buffer.is_empty()) {
        return Ok(0);
    }
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

/// Receives bytes, and takes them out of the socket.
pub(crate) const TAKE: RecvFlags = RecvFlags::empty();

/// Receives bytes, and leaves them in the socket.
pub(crate) const PEEK: RecvFlags = RecvFlags::PEEK;

/// Discards bytes: a TCP socket does not write to the buffer.
pub(crate) const DISCARD: RecvFlags = RecvFlags::TRUNC;

/// A header for a connected socket: buffers and nothing else.
fn message(buffers: *mut libc::iovec, len: usize) -> libc::msghdr {
    // SAFETY: all-zero is a valid header: no address, no buffers, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers;
    // The type of the length is the C library's choice.
    message.msg_iovlen = vector_len(len) as _;
    message
}

/// Accepts a connection. Its socket is closed on exec.
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

/// The kind of an error of [`accept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// One connection has failed; the next accept may succeed.
    Connection,
    /// A resource has run out, and may be free again later.
    Resources,
    /// The listener has failed for good.
    Listener,
}

pub(crate) fn accept_error(error: &io::Error) -> AcceptError {
    match error.raw_os_error() {
        // Except for the first three, these are network errors that are pending on the new connection; see accept(2).
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
        // EOPNOTSUPP may be an error of the network or of the listener, and an error without a number comes from a user's
        // listener: both may come again at once.
        Some(
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN | libc::EOPNOTSUPP,
        )
        | None => AcceptError::Resources,
        Some(_) => AcceptError::Listener,
    }
}

/// Whether descriptors or memory have run out.
pub(crate) fn has_run_out(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// The most buffers that a call takes (`IOV_MAX`). The rest is left to the next call.
const MOST_BUFFERS: usize = 1024;

pub(super) fn vector_len(len: usize) -> libc::c_int {
    len.min(MOST_BUFFERS) as libc::c_int
}

/// The most bytes that one call moves with buffers of these lengths.
pub(crate) fn vector_bytes(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.take(MOST_BUFFERS).sum()
}

/// The result of a system call that returns -1 and sets `errno`.
pub(super) fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
