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
use crate::net::socket::{copy_end, descriptor_traits, shared_methods, std_conversions, stream_traits};
use crate::os::socket;
use crate::poller::Way;

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
    /// As [`std::os::unix::net::UnixStream::connect`].
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        connect(&path_to_kernel(path.as_ref())?)
    }

    /// Connects to an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixStream::connect_addr`].
    pub fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        connect(&to_kernel(address)?)
    }

    /// Two unnamed sockets, connected to each other.
    ///
    /// # Errors
    ///
    /// What socketpair(2) says.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::fresh(one), Self::fresh(other)))
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// What getpeername(2) says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().peer_addr()
    }

    /// The process at the other end, as it was when it connected, listened or made the pair.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        let (pid, uid, gid) = socket::peer_credentials(self.as_fd())?;
        Ok(UCred { uid, gid, pid: (pid != 0).then_some(pid) })
    }

    /// Sets `SO_PASSCRED`: messages that are received come with the sender's credentials.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) says.
    pub fn set_passcred(&self, passcred: bool) -> io::Result<()> {
        SockRef::from(self.0.get()).set_passcred(passcred)
    }

    /// `SO_PASSCRED`.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn passcred(&self) -> io::Result<bool> {
        SockRef::from(self.0.get()).passcred()
    }

    /// Sets `SO_MARK`, by which packet filters tell sockets apart.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) says; it takes the capability `CAP_NET_ADMIN`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        SockRef::from(self.0.get()).set_mark(mark)
    }

    /// Shuts down reading, writing, or both; calls that wait return.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.get().shutdown(how)
    }

    /// Reads without taking: blocks until there is something.
    ///
    /// # Errors
    ///
    /// What recv(2) says; `WouldBlock` after the read timeout.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = |inner: &net::UnixStream| socket::receive(inner.as_fd(), buffer, socket::PEEK);
        self.0.peek(call)
    }

    /// Reads, along with what was sent beside the bytes: descriptors and credentials. What `ancillary` held before is
    /// dropped.
    ///
    /// # Errors
    ///
    /// What recvmsg(2) says; `WouldBlock` after the read timeout.
    pub fn recv_vectored_with_ancillary(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let call = |inner: &net::UnixStream| ancillary.receive(inner.as_fd(), buffers);
        self.0.retry(Way::Read, Reason::Read, None, call, |_| false).map(|received| received.length)
    }

    /// Writes, and sends along what was added to `ancillary`. It goes with the first of the bytes, so there must be at
    /// least one.
    ///
    /// # Errors
    ///
    /// What sendmsg(2) says; `WouldBlock` after the write timeout.
    pub fn send_vectored_with_ancillary(
        &self,
        slices: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let call = |inner: &net::UnixStream| ancillary.send(inner.as_fd(), slices, None);
        self.0.retry(Way::Write, Reason::Write, None, call, |_| false)
    }

    shared_methods!();
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
    stream.0.retry_with_pauses(Way::Write, Reason::Connect, call)?;
    // From here on each call says that it must not block.
    stream.0.get().set_nonblocking(false)?;
    Ok(stream)
}

stream_traits!(UnixStream);
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
std_conversions!(UnixStream, net::UnixStream, Kind::Other);
descriptor_traits!(UnixStream, net::UnixStream);
