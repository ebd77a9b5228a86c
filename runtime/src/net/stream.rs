//! A TCP connection. Mirrors [`std::net::TcpStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::SockRef;

use super::address::first_that;
use super::socket::{copy_end, descriptor_traits, moved_nothing, socket_settings, std_conversions};
use super::{IdleHandle, ToSocketAddrs, connect, happy_eyeballs};
use crate::io::{Descriptor, Duplex, End, Kind, Sealed};
use crate::os::socket;
use crate::poller::Direction;

/// A TCP stream whose calls block the fiber.
///
/// Reads and writes go through shared references too, so that one fiber can read while another writes.
///
/// The descriptor stays in the mode in which std would have it (blocking, unless
/// [`set_nonblocking`](Self::set_nonblocking) is called): each call asks the kernel not to block. Other holders of the
/// descriptor, through [`AsRawFd`], a clone or another process, see the mode that they would see with std.
///
/// Dropping the last handle closes the connection. With [linger](Self::set_linger) set, the fiber waits for that.
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
    /// If no address answers, the error of the last one:
    ///
    /// * `ConnectionRefused`: nobody listens there. `NetworkUnreachable`, `HostUnreachable`: there is no route.
    /// * `TimedOut`: no answer came for some two minutes.
    /// * `InvalidInput`: there is no address, or the text is not one. Those of the look-up of a name, as with std.
    ///
    /// A fiber that is cancelled while it waits unwinds, and the attempt is given up.
    pub fn connect<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        first_that(address, |address| connect::connect(address, None))
    }

    /// Connects to the address that answers first ("happy eyeballs", RFC 8305). IPv6 and IPv4 addresses alternate. The next
    /// attempt starts when one has failed, or has not answered for 250 ms, and all go on until one connects. So an address
    /// that does not answer costs a quarter of a second, not two minutes.
    ///
    /// [`connect`](Self::connect) tries the addresses one after the other, as std does. Put [`timeout`](crate::time::timeout)
    /// around either to limit the whole.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect): the last failure, if all attempts fail.
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
    /// * `TimedOut`: there was no answer within `timeout`.
    /// * `InvalidInput`: the timeout is zero.
    /// * Otherwise as for [`connect`](Self::connect).
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        connect::connect(*address, Some(timeout))
    }

    pub(super) fn from_descriptor(descriptor: Descriptor<std::net::TcpStream>) -> Self {
        Self(descriptor)
    }

    /// A read of no bytes waits until there are some, or until its time is up, and the kernel does not tell which.
    #[cold]
    fn unless_nothing_was_wanted(&self, wanted: usize, error: io::Error) -> io::Result<usize> {
        let is_over = wanted == 0 && error.kind() == io::ErrorKind::WouldBlock && !self.0.is_nonblocking();
        if is_over { Ok(0) } else { Err(error) }
    }

    #[cfg(feature = "hyper")]
    pub(super) fn descriptor(&self) -> &Descriptor<std::net::TcpStream> {
        &self.0
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// * `NotConnected`: the socket is not connected, or no longer.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// Shuts down reading, writing, or both; calls that wait return.
    ///
    /// # Errors
    ///
    /// * `NotConnected`: the socket is not connected, or no longer.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.get().shutdown(how)
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

    /// [Reads](Read::read) without taking the bytes: the next call finds them again. Blocks the fiber as a read does.
    ///
    /// # Errors
    ///
    /// As for a read.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        let call = |inner: &std::net::TcpStream| socket::receive(inner.as_fd(), buffer, socket::PEEK);
        self.0.peek(call).or_else(|error| self.unless_nothing_was_wanted(wanted, error))
    }

    /// Sets `TCP_NODELAY`: small writes are sent at once. Default false: they wait until earlier ones are acknowledged.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.get().set_nodelay(nodelay)
    }

    /// `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.get().nodelay()
    }

    /// Sets `SO_LINGER`: how long closing waits for unsent data, in whole seconds. Zero resets the connection instead. `None`, the
    /// default: closing does not wait, and the kernel goes on sending. No worker ever waits for it.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        // The kernel's field is an `int`: more would wrap around, to a short time or a negative one.
        let longest = Duration::from_secs(i32::MAX.unsigned_abs().into());
        SockRef::from(self.0.get()).set_linger(linger.map(|linger| linger.min(longest)))
    }

    /// `SO_LINGER`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.0.get()).linger()
    }

    /// Sets the time to live of packets sent over IPv4: the number of hops, 1 to 255. Default: the system's, 64 as a rule.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: `ttl` is not between 1 and 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.get().set_ttl(ttl)
    }

    /// The time to live of packets sent over IPv4, in hops.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.get().ttl()
    }

    /// Sets `TCP_QUICKACK`: the kernel acknowledges at once. True at first; the kernel changes it by itself. Mirrors
    /// `std::os::linux::net::TcpStreamExt`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self.0.get()).set_tcp_quickack(quickack)
    }

    /// `TCP_QUICKACK`.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self.0.get()).tcp_quickack()
    }
}

impl Read for TcpStream {
    /// Reads what has arrived, at most as much as fits into `buffer`, and returns the number of bytes. Blocks the fiber while
    /// nothing has arrived.
    ///
    /// **The end.** 0 means that the peer has ended its side of the stream, that reading was [shut down](Self::shutdown), that
    /// an [`IdleHandle`] has ended an idle connection, or that `buffer` is empty; even then it waits, as std's does.
    ///
    /// **Time.** [`set_read_timeout`](Self::set_read_timeout) limits each call, [`time::timeout`](crate::time::timeout)
    /// everything that a closure does.
    ///
    /// **Cancellation.** A fiber that is cancelled while it waits unwinds. A call that has read bytes returns them first, so
    /// none are lost.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the read timeout has passed; or nothing has arrived, in [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionReset`: the peer has reset the connection.
    /// * `TimedOut`: the kernel has given the connection up, since the peer no longer answers.
    /// * `NotConnected`: the socket was never connected.
    /// * Never `Interrupted`: a call that a signal has interrupted is made again.
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    /// [`read`](Self::read) into several buffers, one after the other.
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Read for &TcpStream {
    /// As for [`TcpStream`] itself: several fibers may read, and each byte goes to one of them.
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        self.0
            .receive(wanted, |inner| socket::receive(inner.as_fd(), buffer, socket::TAKE))
            .or_else(|error| self.unless_nothing_was_wanted(wanted, error))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = socket::vector_bytes(buffers.iter().map(|buffer| buffer.len()));
        if wanted == 0 {
            return moved_nothing();
        }
        self.0.receive(wanted, |inner| socket::receive_vectored(inner.as_fd(), buffers))
    }
}

impl Write for TcpStream {
    /// Hands the kernel as many of `bytes` as it has room for, and returns their number. Blocks the fiber while there is no
    /// room. `write_all` goes on until all are sent.
    ///
    /// The peer may not have them yet when this returns. [`set_write_timeout`](Self::set_write_timeout) limits each call. A
    /// fiber that is cancelled while it waits unwinds, and this call has sent nothing.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the write timeout has passed; or there is no room, in [non-blocking mode](Self::set_nonblocking).
    /// * `BrokenPipe`: writing was [shut down](Self::shutdown), or the peer has closed the connection.
    /// * `ConnectionReset`: the peer has reset the connection.
    /// * `TimedOut`: the kernel has given the connection up, since the peer no longer answers.
    ///
    /// Never `Interrupted`, and never a `SIGPIPE`.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    /// Repeats [`write`](Self::write) until the kernel has all of `bytes`.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self).write_all(bytes)
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

impl Write for &TcpStream {
    /// As for [`TcpStream`] itself. What two fibers write at the same time may be mixed, in parts.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.len(), |inner| socket::send(inner.as_fd(), bytes))
    }

    #[inline]
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                sent => bytes = &bytes[sent..],
            }
        }
        Ok(())
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

copy_end!(TcpStream);
impl Duplex for TcpStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn as_end(&self) -> Option<End<'_>> {
        Some(End::descriptor(&self.0))
    }
}

socket_settings!(TcpStream, "reads", "writes");
std_conversions!(TcpStream, std::net::TcpStream, Kind::Stream);
descriptor_traits!(TcpStream, std::net::TcpStream);
