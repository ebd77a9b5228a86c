//! A TCP connection. Mirrors [`std::net::TcpStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::SockRef;

use super::address::first_that;
use super::socket::{copy_end, descriptor_traits, shared_methods, std_conversions, stream_traits};
use super::{ToSocketAddrs, connect, happy_eyeballs};
use crate::io::{Descriptor, Duplex, End, Kind, Sealed};
use crate::os::socket;
use crate::poller::Direction;

/// A TCP stream whose calls block the fiber.
///
/// Reads and writes go through shared references too, so that one fiber can read while another writes.
///
/// The descriptor itself stays in the mode in which std would have it (blocking, unless
/// [`set_nonblocking`](Self::set_nonblocking) is called): each call asks the kernel not to block. So whoever else
/// has the descriptor, through [`AsRawFd`], a clone or another process, finds what he would find of std's.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use abaca::net::TcpStream;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let mut stream = TcpStream::connect("localhost:7000")?;
/// stream.write_all(b"hello")?;
/// let mut answer = [0; 5];
/// stream.read_exact(&mut answer)
/// # })
/// # }
/// ```
pub struct TcpStream(Descriptor<std::net::TcpStream>);

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    ///
    /// The last address's error; see [`std::net::TcpStream::connect`].
    pub fn connect<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        first_that(address, |address| connect::connect(address, None))
    }

    /// Connects to whichever of the addresses answers first ("happy eyeballs", RFC 8305): they are tried in turns of
    /// IPv6 and IPv4, the next as soon as one has failed or has not answered for 250 ms, and all go on until one is
    /// connected. So a host that is dead on one of its addresses costs a quarter of a second, not two minutes.
    ///
    /// This is not what [`connect`](Self::connect) does, since the order of addresses, and which of them see a
    /// connection, differ from std's. Put [`timeout`](crate::time::timeout) around it to limit the whole.
    ///
    /// # Errors
    ///
    /// The failure that came last, when all have failed.
    ///
    /// ```no_run
    /// use abaca::net::TcpStream;
    /// # fn main() -> std::io::Result<()> {
    /// # abaca::run(|| {
    /// let stream = TcpStream::connect_happy_eyeballs("www.example.org:80")?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn connect_happy_eyeballs<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        happy_eyeballs::connect(address.to_socket_addrs()?.collect())
    }

    /// Connects, waiting at most for `timeout`.
    ///
    /// # Errors
    ///
    /// `TimedOut` after that; `InvalidInput` for a timeout of zero.
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        connect::connect(*address, Some(timeout))
    }

    pub(super) fn from_descriptor(descriptor: Descriptor<std::net::TcpStream>) -> Self {
        Self(descriptor)
    }

    #[cfg(feature = "hyper")]
    pub(super) fn descriptor(&self) -> &Descriptor<std::net::TcpStream> {
        &self.0
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// What getpeername(2) says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// Shuts down reading, writing, or both; calls that wait return.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.get().shutdown(how)
    }

    shared_methods!();

    /// Reads without taking: blocks until there is something.
    ///
    /// # Errors
    ///
    /// What recv(2) says; `WouldBlock` after the read timeout.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = |inner: &std::net::TcpStream| socket::receive(inner.as_fd(), buffer, socket::PEEK);
        self.0.peek(call)
    }

    /// Sets `TCP_NODELAY`: send small writes at once.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.get().set_nodelay(nodelay)
    }

    /// `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.get().nodelay()
    }

    /// Sets `SO_LINGER`: how long closing waits for unsent data; zero resets the connection.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.0.get()).set_linger(linger)
    }

    /// `SO_LINGER`.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.0.get()).linger()
    }

    /// Sets the time to live of packets sent.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.get().set_ttl(ttl)
    }

    /// The time to live of packets sent.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.get().ttl()
    }

    /// Sets `TCP_QUICKACK`: acknowledge at once. The kernel may go back by itself. Mirrors
    /// `std::os::linux::net::TcpStreamExt`.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) says.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self.0.get()).set_tcp_quickack(quickack)
    }

    /// `TCP_QUICKACK`.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self.0.get()).tcp_quickack()
    }
}

stream_traits!(TcpStream);
copy_end!(TcpStream);
impl Duplex for TcpStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn as_end(&self) -> Option<End<'_>> {
        Some(End::descriptor(&self.0))
    }
}

std_conversions!(TcpStream, std::net::TcpStream, Kind::Stream);
descriptor_traits!(TcpStream, std::net::TcpStream);
