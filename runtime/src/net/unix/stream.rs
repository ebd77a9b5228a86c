//! A connection in the Unix domain. Mirrors [`std::os::unix::net::UnixStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::address::{path_to_kernel, to_kernel};
use super::{SocketAddr, SocketAncillary, UCred, lookup};
use crate::blocking;
use crate::cell::Reason;
use crate::io::{Descriptor, Duplex, End, Kind, Sealed};
use crate::net::IdleHandle;
use crate::net::socket::{copy_end, descriptor_traits, moved_nothing, socket_settings, std_conversions};
use crate::os::socket;
use crate::poller::Direction;

/// A Unix stream socket whose calls block the fiber.
///
/// The descriptor itself stays in the mode in which std would have it, as a [`TcpStream`](crate::net::TcpStream)'s
/// does.
///
/// ```
/// use std::io::{Read, Write};
/// use abaca::net::UnixStream;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (mut ours, mut theirs) = UnixStream::pair()?;
/// let greeter = abaca::spawn(move || theirs.write_all(b"hello"));
/// let mut text = String::new();
/// ours.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// greeter.join().unwrap()
/// # })
/// # }
/// ```
pub struct UnixStream(Descriptor<net::UnixStream>);

impl UnixStream {
    /// Connects to the socket at `path`; blocks while the listener's queue is full.
    ///
    /// # Errors
    ///
    /// * `NotFound`, `NotADirectory`: there is nothing at `path`.
    /// * `ConnectionRefused`: nobody listens there, or what is there is no socket.
    /// * `PermissionDenied`: the process may not write to the socket, or look into a directory of its path.
    /// * `EPROTOTYPE`, for which [`io::ErrorKind`] has no name: it is a socket of another type.
    /// * `InvalidInput`: the path has a NUL, or more than 107 bytes.
    /// * `EMFILE` or `ENFILE`, without a name as well: no descriptor is left, in the process or the system.
    ///
    /// A fiber that is cancelled while it waits unwinds, and the attempt is given up.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        connect(&path_to_kernel(path.as_ref())?)
    }

    /// Connects to an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `ConnectionRefused` if no socket has the abstract name.
    pub fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        connect(&to_kernel(address)?)
    }

    /// Two unnamed sockets, connected to each other.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::fresh(one), Self::fresh(other)))
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// * `NotConnected`: the socket is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().peer_addr()
    }

    /// The process at the other end, as it was when it connected, listened or made the pair.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        let (pid, uid, gid) = socket::peer_credentials(self.as_fd())?;
        Ok(UCred { uid, gid, pid: (pid != 0).then_some(pid) })
    }

    /// Sets `SO_PASSCRED`: messages that are received come with the sender's credentials. Default false.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn set_passcred(&self, passcred: bool) -> io::Result<()> {
        SockRef::from(self.0.get()).set_passcred(passcred)
    }

    /// `SO_PASSCRED`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn passcred(&self) -> io::Result<bool> {
        SockRef::from(self.0.get()).passcred()
    }

    /// Sets `SO_MARK`, by which packet filters and routes tell sockets apart. Default 0.
    ///
    /// # Errors
    ///
    /// * `PermissionDenied`: the process does not have the capability `CAP_NET_ADMIN`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        SockRef::from(self.0.get()).set_mark(mark)
    }

    /// Shuts down reading, writing, or both; calls of fibers that wait return, those on clones as well.
    ///
    /// Of the end of reading alone ([`Shutdown::Read`]) the kernel tells the other end only if somebody waits within a write there, or writes. No event
    /// tells a poller: a fiber at the other end that waits for room already goes on waiting, as a plain thread in poll(2) does, until there is room, until
    /// its [write timeout](Self::set_write_timeout) or deadline has passed, or until this end is shut down for both or closed. Shut down both if
    /// the other end may be waiting. Calls that `abaca-transparent` has taken the place of find it out at once if this process shuts down, else
    /// within two seconds.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match how {
            Shutdown::Read => self.0.get().shutdown(how),
            Shutdown::Write | Shutdown::Both => self.0.shut_down_writes(|inner| inner.shutdown(how)),
        }
    }

    /// [Reads](Read::read) without taking the bytes: the next call finds them again. Blocks the fiber while nothing has
    /// arrived.
    ///
    /// # Errors
    ///
    /// As for a read.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = |inner: &net::UnixStream| socket::receive(inner.as_fd(), buffer, socket::PEEK);
        self.0.peek(call)
    }

    /// Reads bytes and the ancillary data sent with them: descriptors and credentials. Drops what `ancillary` held before.
    ///
    /// # Errors
    ///
    /// As for a [read](Read::read).
    pub fn recv_vectored_with_ancillary(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let call = |inner: &net::UnixStream| ancillary.receive(inner.as_fd(), buffers);
        self.0.retry(Direction::Read, Reason::Read, None, call, |_| false).map(|received| received.length)
    }

    /// Writes bytes, and sends along what was added to `ancillary`. The data goes with the first byte, so there must be at
    /// least one.
    ///
    /// # Errors
    ///
    /// As for a [write](Write::write); and:
    ///
    /// * `PermissionDenied`: credentials that are not the process's own.
    /// * `ETOOMANYREFS`, for which [`io::ErrorKind`] has no name: too many descriptors are under way.
    pub fn send_vectored_with_ancillary(
        &self,
        slices: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let call = |inner: &net::UnixStream| ancillary.send(inner.as_fd(), slices, None);
        self.0.retry(Direction::Write, Reason::Write, None, call, |_| false)
    }

    /// A second handle to the same socket, so that one fiber can read while another writes. What is set through one handle
    /// (timeouts, options, the non-blocking mode) holds for both.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.with_shared_settings(self.0.get().try_clone()?)))
    }

    /// A handle that ends this connection, and the clones that are made from now on, when it is idle: between two requests.
    pub fn idle_handle(&self) -> IdleHandle {
        IdleHandle::new(self.0.share_idle())
    }
}

fn connect(address: &SockAddr) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let (socket, begun) = if lookup::may_wait(address) {
        let address = address.clone();
        blocking::run_owned(move || {
            let begun = socket.connect(&address);
            (socket, Some(begun))
        })
    } else {
        (socket, None)
    };
    let stream = UnixStream::fresh(socket.into());
    let mut begun = begun;
    // It is told to wait while the listener's queue is full, and is writable all the same.
    let call =
        |inner: &net::UnixStream| begun.take().unwrap_or_else(|| SockRef::from(inner).connect(address));
    stream.0.retry_with_pauses(Direction::Write, Reason::Connect, call)?;
    // From here on each call says that it must not block.
    stream.0.get().set_nonblocking(false)?;
    Ok(stream)
}

impl Read for UnixStream {
    /// Reads what has arrived, at most as much as fits into `buffer`, and says how many bytes that is. Blocks the fiber while
    /// there is nothing.
    ///
    /// **The end.** 0 says that the peer has ended its side of the stream, that reading was [shut down](Self::shutdown), or that
    /// an [`IdleHandle`] has told an idle connection to end; or that `buffer` is empty: even then it waits, as std's does.
    ///
    /// **Time.** [`set_read_timeout`](Self::set_read_timeout) limits each call,
    /// [`time::timeout`](crate::time::timeout) all that one does.
    ///
    /// **Cancellation.** A fiber that is cancelled while it waits unwinds. Bytes that have been read are returned first, so none
    /// are lost.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the read timeout has passed; or nothing has arrived, in [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionReset`: the peer has closed the connection with bytes unread that were sent from here.
    /// * `InvalidInput`: the socket was never connected.
    ///
    /// Never `Interrupted`: a call that a signal has interrupted is made again.
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    /// [`read`](Self::read) into several buffers, one after the other.
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Read for &UnixStream {
    /// As for [`UnixStream`] itself: several fibers may read, and each byte goes to one of them.
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        self.0.receive(wanted, |inner| socket::receive(inner.as_fd(), buffer, socket::TAKE))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = socket::vector_bytes(buffers.iter().map(|buffer| buffer.len()));
        if wanted == 0 {
            return moved_nothing();
        }
        self.0.receive(wanted, |inner| socket::receive_vectored(inner.as_fd(), buffers))
    }
}

impl Write for UnixStream {
    /// Hands the kernel as many of `bytes` as it has room for, and returns their number. Blocks the fiber while there is no
    /// room. `write_all` goes on until all are sent.
    ///
    /// The peer may not have read them yet when this returns. [`set_write_timeout`](Self::set_write_timeout) limits each call. A
    /// fiber that is cancelled while it waits unwinds, and this call has sent nothing.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the write timeout has passed; or there is no room, in [non-blocking mode](Self::set_nonblocking).
    /// * `BrokenPipe`: writing was [shut down](Self::shutdown), or the peer has closed the connection.
    /// * `NotConnected`: the socket was never connected.
    ///
    /// Never `Interrupted`, and never a `SIGPIPE`.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    /// [`write`](Self::write) of several slices, one after the other.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    /// Does nothing: the stream has no buffer of its own.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &UnixStream {
    /// As for [`UnixStream`] itself. What two fibers write at the same time may be mixed, in parts.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.len(), |inner| socket::send(inner.as_fd(), bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted = socket::vector_bytes(slices.iter().map(|slice| slice.len()));
        if wanted == 0 {
            return moved_nothing();
        }
        self.0.send(wanted, |inner| socket::send_vectored(inner.as_fd(), slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

copy_end!(UnixStream);
impl Duplex for UnixStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn as_end(&self) -> Option<End<'_>> {
        Some(End::descriptor(&self.0))
    }
}

// A read stops short where descriptors were sent along, so that a short one says nothing of what is left.
socket_settings!(UnixStream, "reads", "writes");
std_conversions!(UnixStream, net::UnixStream, Kind::Local);
descriptor_traits!(UnixStream, net::UnixStream);
