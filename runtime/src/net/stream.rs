//! A TCP connection. Mirrors [`std::net::TcpStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::SockRef;

use super::address::first_that;
use super::{ToSocketAddrs, connect};
use crate::io::{Descriptor, Kind};
use crate::poller::Way;

/// A TCP stream whose calls block the fiber.
///
/// Reads and writes go through shared references too, so that one fiber can read while another writes.
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

    pub(super) fn from_nonblocking(inner: std::net::TcpStream) -> Self {
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

    /// A second handle to the same socket, with timeouts and a non-blocking mode of its own, at first like this
    /// one's.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clone = Self::from_nonblocking(self.0.get().try_clone()?);
        clone.0.set_timeout(Way::Read, self.0.timeout(Way::Read))?;
        clone.0.set_timeout(Way::Write, self.0.timeout(Way::Write))?;
        Ok(clone)
    }

    /// How long a read waits at most before it fails with `WouldBlock`; `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Way::Read, timeout)
    }

    /// How long a write waits at most before it fails with `WouldBlock`; `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Way::Write, timeout)
    }

    /// The read timeout.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.timeout(Way::Read))
    }

    /// The write timeout.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.timeout(Way::Write))
    }

    /// Reads without taking: blocks until there is something.
    ///
    /// # Errors
    ///
    /// What recv(2) says; `WouldBlock` after the read timeout.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is peeked at is still there, so a short result drains nothing.
        self.0.retry(Way::Read, crate::fiber::Reason::Read, |inner| inner.peek(buffer), |_| false)
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

    /// In non-blocking mode calls give `WouldBlock` instead of waiting. The mode is this handle's.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking);
        Ok(())
    }
}

impl Read for &TcpStream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.transfer(Way::Read, buffer.len(), |mut inner| inner.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.0.transfer(Way::Read, wanted, |mut inner| inner.read_vectored(buffers))
    }
}

impl Write for &TcpStream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.transfer(Way::Write, bytes.len(), |mut inner| inner.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        self.0.transfer(Way::Write, wanted, |mut inner| inner.write_vectored(slices))
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

/// Puts the socket into non-blocking mode, which its duplicates share. Timeouts of the std socket are taken over.
///
/// # Panics
///
/// If the kernel refuses that, which it does not for an open socket.
impl From<std::net::TcpStream> for TcpStream {
    fn from(inner: std::net::TcpStream) -> Self {
        inner.set_nonblocking(true).expect("an open socket can be made non-blocking");
        let timeouts = (inner.read_timeout(), inner.write_timeout());
        let stream = Self::from_nonblocking(inner);
        for (way, timeout) in [(Way::Read, timeouts.0), (Way::Write, timeouts.1)] {
            stream.0.set_timeout(way, timeout.unwrap_or(None)).expect("the kernel's timeout is not zero");
        }
        stream
    }
}

/// Puts the socket back into blocking mode, which its duplicates share. Timeouts are taken over.
///
/// # Panics
///
/// As for the other direction.
impl From<TcpStream> for std::net::TcpStream {
    fn from(stream: TcpStream) -> Self {
        let timeouts = (stream.0.timeout(Way::Read), stream.0.timeout(Way::Write));
        let inner = stream.0.into_inner();
        inner.set_nonblocking(false).expect("an open socket can be made blocking");
        inner.set_read_timeout(timeouts.0).expect("a timeout that is not zero");
        inner.set_write_timeout(timeouts.1).expect("a timeout that is not zero");
        inner
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
