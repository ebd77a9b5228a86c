//! A TCP connection. Mirrors [`std::net::TcpStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::SockRef;

use super::address::first_that;
use super::{ToSocketAddrs, connect};
use crate::fiber::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::socket;
use crate::poller::Way;

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

    /// A stream whose kernel timeouts are not set.
    pub(super) fn fresh(inner: std::net::TcpStream) -> Self {
        Self(Descriptor::new(inner, Kind::Stream))
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

    /// A second handle to the same socket. Timeouts and the non-blocking mode are the socket's: both handles see
    /// what is set through one.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.twin(self.0.get().try_clone()?)))
    }

    /// How long a read waits at most before it fails with `WouldBlock`; `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.get().set_read_timeout(timeout)?;
        self.0.set_timeout(Way::Read, timeout);
        Ok(())
    }

    /// How long a write waits at most before it fails with `WouldBlock`; `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.get().set_write_timeout(timeout)?;
        self.0.set_timeout(Way::Write, timeout);
        Ok(())
    }

    /// The read timeout, in the kernel's resolution of some milliseconds. Reads keep to the exact one.
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.get().read_timeout()
    }

    /// The write timeout, as [`read_timeout`](Self::read_timeout).
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.get().write_timeout()
    }

    /// Reads without taking: blocks until there is something.
    ///
    /// # Errors
    ///
    /// What recv(2) says; `WouldBlock` after the read timeout.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = |inner: &std::net::TcpStream| socket::receive(inner.as_fd(), buffer, socket::PEEK);
        // What is peeked at is still there, so a short result drains nothing.
        self.0.retry(Way::Read, Reason::Read, None, call, |_| false)
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

    /// Takes the pending error, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// What getsockopt(2) says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.get().take_error()
    }

    /// In non-blocking mode calls give `WouldBlock` instead of waiting.
    ///
    /// Servers have no use for it: in the blocking mode, which is the default, a call blocks its fiber and nobody
    /// else.
    ///
    /// # Errors
    ///
    /// What fcntl(2) says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.get().set_nonblocking(nonblocking)?;
        self.0.set_nonblocking(nonblocking);
        Ok(())
    }
}

impl Read for &TcpStream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.transfer(Way::Read, buffer.len(), |inner| socket::receive(inner.as_fd(), buffer, 0))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.0.transfer(Way::Read, wanted, |inner| socket::receive_vectored(inner.as_fd(), buffers))
    }
}

impl Write for &TcpStream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.transfer(Way::Write, bytes.len(), |inner| socket::send(inner.as_fd(), bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        self.0.transfer(Way::Write, wanted, |inner| socket::send_vectored(inner.as_fd(), slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().fmt(f)
    }
}

/// Timeouts of the std socket are taken over. Calls block the fiber, whatever mode the socket is in; the mode
/// itself is left alone.
impl From<std::net::TcpStream> for TcpStream {
    fn from(inner: std::net::TcpStream) -> Self {
        let timeouts = (inner.read_timeout(), inner.write_timeout());
        let stream = Self::fresh(inner);
        for (way, timeout) in [(Way::Read, timeouts.0), (Way::Write, timeouts.1)] {
            if let Ok(Some(timeout)) = timeout {
                stream.0.set_timeout(way, Some(timeout));
            }
        }
        stream
    }
}

/// The socket as std would have it: with its timeouts, and blocking unless
/// [`set_nonblocking`](TcpStream::set_nonblocking) was called.
impl From<TcpStream> for std::net::TcpStream {
    fn from(stream: TcpStream) -> Self {
        stream.0.into_inner()
    }
}

/// The descriptor traits, which all sockets implement in the same way.
macro_rules! descriptor_traits {
    ($t:ty, $std:ty) => {
        impl AsFd for $t {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $t {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_fd().as_raw_fd()
            }
        }

        impl IntoRawFd for $t {
            fn into_raw_fd(self) -> RawFd {
                <$std>::from(self).into_raw_fd()
            }
        }

        impl From<OwnedFd> for $t {
            fn from(fd: OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        impl From<$t> for OwnedFd {
            fn from(socket: $t) -> Self {
                <$std>::from(socket).into()
            }
        }

        #[expect(
            unsafe_code,
            reason = "the trait's method is unsafe: the caller hands over an open descriptor"
        )]
        impl FromRawFd for $t {
            unsafe fn from_raw_fd(fd: RawFd) -> Self {
                // SAFETY: the trait's contract.
                unsafe { OwnedFd::from_raw_fd(fd) }.into()
            }
        }
    };
}
pub(super) use descriptor_traits;

descriptor_traits!(TcpStream, std::net::TcpStream);
