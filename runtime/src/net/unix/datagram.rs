//! Datagrams in the Unix domain. Mirrors [`std::os::unix::net::UnixDatagram`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::path::Path;
use std::time::Duration;

use socket2::{SockAddr, SockRef};

use super::address::{from_kernel, path_to_kernel, to_kernel};
use super::{SocketAddr, SocketAncillary, lookup, take_from_queue};
use crate::blocking;
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::net::socket::{descriptor_traits, socket_settings, std_conversions};
use crate::os::message::Received;
use crate::os::socket;
use crate::poller::Direction;

/// A Unix datagram socket whose calls block the fiber. Datagrams are neither lost nor reordered: a send to a receiver
/// whose queue is full waits.
///
/// ```
/// use abaca::net::UnixDatagram;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (ours, theirs) = UnixDatagram::pair()?;
/// ours.send(b"one")?;
/// ours.send(b"two")?;
/// let mut buffer = [0; 8];
/// assert_eq!(theirs.recv(&mut buffer)?, 3);
/// assert_eq!(&buffer[..3], b"one");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixDatagram(Descriptor<net::UnixDatagram>);

impl UnixDatagram {
    /// Makes a socket at `path`, which must not exist. The path stays when the socket is closed.
    ///
    /// # Errors
    ///
    /// As for [`UnixListener::bind`](crate::net::UnixListener::bind).
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Makes a socket with an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); for an abstract name, `AddrInUse` says that another socket has it.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        lookup::make(address.clone(), net::UnixDatagram::bind_addr).map(Self::fresh)
    }

    /// A socket without a name: nobody can send to it unless it is connected.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn unbound() -> io::Result<Self> {
        net::UnixDatagram::unbound().map(Self::fresh)
    }

    /// Two unnamed sockets, connected to each other.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::fresh(one), Self::fresh(other)))
    }

    /// From now on [`send`](Self::send) goes to `path`, and only what comes from there is received.
    ///
    /// # Errors
    ///
    /// As for [`UnixStream::connect`](crate::net::UnixStream::connect). `ConnectionRefused` says that the socket there is closed, or
    /// that what is there is no socket.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// [`connect`](Self::connect) to an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `ConnectionRefused` if no socket has the abstract name.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        let socket = self.0.get();
        if !lookup::may_wait(&to_kernel(address)?) {
            return socket.connect_addr(address);
        }
        match (socket.try_clone(), address.clone()) {
            (Ok(socket), address) => blocking::run_owned(move || socket.connect_addr(&address)),
            (Err(_), address) => blocking::run(|| socket.connect_addr(&address)),
        }
    }

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// * `NotConnected`: the socket is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().peer_addr()
    }

    /// Blocks until there is a datagram. Returns its length and its sender. Bytes that do not fit into the buffer are lost.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the read timeout has passed; or nothing has arrived, in [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionReset`: the socket that this one is connected to has connected itself to another one.
    ///
    /// A fiber that is cancelled while it waits unwinds, and takes no datagram. Never `Interrupted`.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_from(buffer, socket::TAKE)
    }

    /// [`recv_from`](Self::recv_from) that leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_from(buffer, socket::PEEK)
    }

    fn receive_from(&self, buffer: &mut [u8], flags: socket::RecvFlags) -> io::Result<(usize, SocketAddr)> {
        let call = |inner: &net::UnixDatagram| socket::receive_from(inner.as_fd(), buffer, flags);
        let at_end = || Ok((0, SockAddr::unix("")?));
        let (length, from) = take_from_queue(&self.0, Reason::Read, call, at_end)?;
        Ok((length, from_kernel(&from)?))
    }

    /// Blocks until there is a datagram. Returns its length. Bytes that do not fit into the buffer are lost.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = |inner: &net::UnixDatagram| socket::receive(inner.as_fd(), buffer, socket::TAKE);
        take_from_queue(&self.0, Reason::Read, call, || Ok(0))
    }

    /// [`recv`](Self::recv) that leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = |inner: &net::UnixDatagram| socket::receive(inner.as_fd(), buffer, socket::PEEK);
        take_from_queue(&self.0, Reason::Read, call, || Ok(0))
    }

    /// Receives a datagram and its ancillary data. Returns its length, whether it was too long for the buffers, and its sender.
    /// Drops what `ancillary` held before.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn recv_vectored_with_ancillary_from(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<(usize, bool, SocketAddr)> {
        let call = |inner: &net::UnixDatagram| ancillary.receive(inner.as_fd(), buffers);
        let received = take_from_queue(&self.0, Reason::Read, call, Received::nothing)?;
        Ok((received.length, received.truncated, from_kernel(&received.from)?))
    }

    /// [`recv_vectored_with_ancillary_from`](Self::recv_vectored_with_ancillary_from) without the address.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn recv_vectored_with_ancillary(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<(usize, bool)> {
        let (length, truncated, _) = self.recv_vectored_with_ancillary_from(buffers, ancillary)?;
        Ok((length, truncated))
    }

    /// Sends a datagram to the socket at `path`.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); and:
    ///
    /// * `NotFound`: nothing is at that path.
    /// * `PermissionDenied`: the path may not be written to.
    /// * `InvalidInput`: the path is too long, or has a NUL.
    pub fn send_to<P: AsRef<Path>>(&self, bytes: &[u8], path: P) -> io::Result<usize> {
        self.send_to_kernel_address(bytes, &path_to_kernel(path.as_ref())?)
    }

    /// Sends a datagram to an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to).
    pub fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.send_to_kernel_address(bytes, &to_kernel(address)?)
    }

    fn send_to_kernel_address(&self, bytes: &[u8], address: &SockAddr) -> io::Result<usize> {
        self.send_with(address, |inner| socket::send_to(inner.as_fd(), bytes, address))
    }

    /// Sends a datagram to the socket that this one is connected to.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the write timeout has passed; or the receiver's queue is full, in
    ///   [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionRefused`: the receiver is gone.
    /// * `BrokenPipe`: sending, or the receiver's receiving, was [shut down](Self::shutdown).
    /// * `NotConnected`: the socket is not [connected](Self::connect).
    /// * `EMSGSIZE`, for which [`io::ErrorKind`] has no name: the datagram is too large.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.transfer(Direction::Write, bytes.len(), |inner| socket::send(inner.as_fd(), bytes))
    }

    /// Sends a datagram to the socket at `path`, and along with it what was added to `ancillary`.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to); and:
    ///
    /// * `PermissionDenied`: credentials that are not the process's own.
    /// * `ETOOMANYREFS`, for which [`io::ErrorKind`] has no name: too many descriptors are under way.
    pub fn send_vectored_with_ancillary_to<P: AsRef<Path>>(
        &self,
        slices: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
        path: P,
    ) -> io::Result<usize> {
        let address = path_to_kernel(path.as_ref())?;
        self.send_with(&address, |inner| ancillary.send(inner.as_fd(), slices, Some(&address)))
    }

    /// [`send`](Self::send) from several slices, and along with it what was added to `ancillary`.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to); and:
    ///
    /// * `PermissionDenied`: credentials that are not the process's own.
    /// * `ETOOMANYREFS`, for which [`io::ErrorKind`] has no name: too many descriptors are under way.
    pub fn send_vectored_with_ancillary(
        &self,
        slices: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let call = |inner: &net::UnixDatagram| ancillary.send(inner.as_fd(), slices, None);
        self.0.retry(Direction::Write, Reason::Write, None, call, |_| false)
    }

    /// Sends to an address. While the receiver's queue is full, the call returns `WouldBlock` although the socket is writable.
    fn send_with(
        &self,
        address: &SockAddr,
        mut call: impl FnMut(&net::UnixDatagram) -> io::Result<usize> + Send,
    ) -> io::Result<usize> {
        self.0.retry_with_pauses(Direction::Write, Reason::Write, |inner| {
            if lookup::may_wait(address) { blocking::run_and_keep(|| call(inner)) } else { call(inner) }
        })
    }

    /// Shuts down receiving, sending, or both; calls of fibers that wait return, those on clones as well.
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

    /// Sets `SO_PASSCRED`: datagrams that are received come with the sender's credentials. Default false.
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

    /// A second handle to the same socket, so that one fiber can receive while another sends. What is set through one handle
    /// (timeouts, options, the non-blocking mode) holds for both.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.with_shared_settings(self.0.get().try_clone()?)))
    }
}

socket_settings!(UnixDatagram, "receives", "sends");
std_conversions!(UnixDatagram, net::UnixDatagram, Kind::Local);
descriptor_traits!(UnixDatagram, net::UnixDatagram);
