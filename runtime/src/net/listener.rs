//! A listening TCP socket. Mirrors [`std::net::TcpListener`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::socket::{descriptor_traits, listener_conversions};
use super::{ListenOptions, TcpStream, ToSocketAddrs, incoming};
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::socket;
use crate::park::{self, Cost};
use crate::scheduler;

/// A TCP socket server whose `accept` blocks the fiber.
///
/// [`serve`](Self::serve) runs a whole server: a fiber for each connection, errors of accept handled, a graceful stop.
///
/// The fiber that is spawned next after an accept is placed on the worker with the fewest fibers placed in this way. So an
/// accept loop that spawns a fiber per connection distributes them evenly.
///
/// ```
/// use std::io::{Read, Write};
/// use abaca::net::{TcpListener, TcpStream};
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = abaca::spawn(move || -> std::io::Result<()> {
///     let (mut stream, _peer) = listener.accept()?;
///     stream.write_all(b"welcome")
/// });
/// let mut text = String::new();
/// TcpStream::connect(address)?.read_to_string(&mut text)?;
/// assert_eq!(text, "welcome");
/// server.join().unwrap()
/// # })
/// # }
/// ```
pub struct TcpListener(Descriptor<std::net::TcpListener>);

impl TcpListener {
    /// Binds to the first of the addresses that works, and listens. [`ListenOptions`] has more to set.
    ///
    /// # Errors
    ///
    /// If no address works, the error of the last one:
    ///
    /// * `AddrInUse`: another socket has the address and port.
    /// * `AddrNotAvailable`: the address is not one of this machine.
    /// * `PermissionDenied`: the port is below 1024, and the process may not have it.
    /// * `InvalidInput`: there is no address, or the text is not one. Those of the look-up of a name, as with std.
    /// * `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }

    pub(super) fn from_nonblocking(inner: std::net::TcpListener) -> Self {
        park::spend(Cost::Making);
        Self(Descriptor::new(inner, Kind::Other))
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// None for an open socket; the return type is that of std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// Blocks until there is a connection, and takes it.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: there is no connection, in [non-blocking mode](Self::set_nonblocking).
    /// * `ConnectionAborted`, and network errors such as `NetworkUnreachable`: the client gave the connection up. Call again.
    /// * `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name, or `OutOfMemory`: no descriptor or no memory is left. The
    ///   connection stays in the queue, and the next call fails at once: close something, or sleep, before it.
    /// * `InvalidInput`: the socket does not listen, or was shut down.
    ///
    /// A fiber that is cancelled while it waits unwinds, and takes no connection. Never `Interrupted`.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let call = |inner: &std::net::TcpListener| socket::accept(inner.as_fd());
        let (fd, address) = self.0.retry_in_line(Reason::Accept, call)?;
        let address = address.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        scheduler::placement_hint();
        Ok((TcpStream::fresh(fd.into()), address))
    }

    fn next_incoming(&self) -> io::Result<TcpStream> {
        incoming::next(|| Ok(self.accept()?.0), self.0.is_nonblocking())
    }

    /// [`incoming`](Self::incoming) by an iterator that owns the listener.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming { listener: self }
    }

    /// Sets the time to live of packets sent over IPv4, also by the connections that it accepts from now on: the number of hops, 1
    /// to 255. Default: the system's, 64 as a rule.
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
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.next_incoming())
    }
}

/// See [`TcpListener::into_incoming`].
#[derive(Debug)]
pub struct IntoIncoming {
    listener: TcpListener,
}

impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.next_incoming())
    }
}

impl std::iter::FusedIterator for IntoIncoming {}

listener_conversions!(TcpListener, std::net::TcpListener);
descriptor_traits!(TcpListener, std::net::TcpListener);
