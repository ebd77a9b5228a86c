//! A listening TCP socket. Mirrors [`std::net::TcpListener`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{ListenOptions, TcpStream, ToSocketAddrs};
use crate::fiber::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::socket;
use crate::poller::Way;
use crate::scheduler;

/// A TCP socket server whose `accept` blocks the fiber.
///
/// After an accept, what the accepting fiber spawns next is placed on the worker that has the fewest fibers
/// placed in this way: an accept loop that spawns a fiber per connection spreads them evenly.
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
    /// As [`std::net::TcpListener::bind`].
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }

    pub(super) fn from_nonblocking(inner: std::net::TcpListener) -> Self {
        Self(Descriptor::new(inner, Kind::Other))
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    /// A second handle to the same socket, which shares the non-blocking mode.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.twin(self.0.get().try_clone()?)))
    }

    /// Blocks until there is a connection, and takes it.
    ///
    /// # Errors
    ///
    /// What accept(2) says. `EMFILE` and `ENFILE` (no descriptors left) leave the connection waiting and come back
    /// at once on the next call: free some, or sleep, before it.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let call = |inner: &std::net::TcpListener| socket::accept(inner.as_fd());
        let (fd, address) = self.0.retry(Way::Read, Reason::Accept, None, call, |_| false)?;
        let address = address.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        scheduler::placement_hint();
        Ok((TcpStream::fresh(fd.into()), address))
    }

    /// The connections, one after the other; never ends by itself.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// [`incoming`](Self::incoming) that owns the listener.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming { listener: self }
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

    /// In non-blocking mode `accept` gives `WouldBlock` instead of waiting.
    ///
    /// To the kernel a listener of this type is always in that mode (`O_NONBLOCK`); this decides between waiting and
    /// giving the error.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking);
        Ok(())
    }
}

/// See [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl std::iter::FusedIterator for Incoming<'_> {}

/// See [`TcpListener::into_incoming`].
#[derive(Debug)]
pub struct IntoIncoming {
    listener: TcpListener,
}

impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl std::iter::FusedIterator for IntoIncoming {}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().fmt(f)
    }
}

/// Puts the socket into the kernel's non-blocking mode, which its duplicates share; `accept` blocks the fiber.
///
/// # Panics
///
/// If the kernel refuses that, which it does not for an open socket.
impl From<std::net::TcpListener> for TcpListener {
    fn from(inner: std::net::TcpListener) -> Self {
        inner.set_nonblocking(true).expect("an open socket can be made non-blocking");
        Self::from_nonblocking(inner)
    }
}

/// Puts the socket back into blocking mode, unless [`set_nonblocking`](TcpListener::set_nonblocking) says
/// otherwise. Its duplicates share the mode: do not go on to accept with a clone of this type, which would block the
/// thread.
///
/// # Panics
///
/// As for the other direction.
impl From<TcpListener> for std::net::TcpListener {
    fn from(listener: TcpListener) -> Self {
        let nonblocking = listener.0.is_nonblocking();
        let inner = listener.0.into_inner();
        inner.set_nonblocking(nonblocking).expect("the mode of an open socket can be set");
        inner
    }
}

super::stream::descriptor_traits!(TcpListener, std::net::TcpListener);
