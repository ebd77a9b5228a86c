//! A listening Unix socket. Mirrors [`std::os::unix::net::UnixListener`].

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::path::Path;

use super::address::from_kernel;
use super::{SocketAddr, UnixStream, lookup, take_from_queue};
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::net::incoming;
use crate::net::socket::{descriptor_traits, listener_conversions};
use crate::os::socket;
use crate::scheduler;

/// A Unix socket server whose `accept` blocks the fiber. It distributes the fibers that are spawned after an accept, as
/// [`TcpListener`](crate::net::TcpListener) does.
///
/// ```
/// use std::io::{Read, Write};
/// use abaca::net::{UnixListener, UnixStream, unix};
/// use abaca::net::unix::SocketAddrExt;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// # let name = format!("abaca-doc-listener-{}", std::process::id());
/// let address = unix::SocketAddr::from_abstract_name(name)?;
/// let listener = UnixListener::bind_addr(&address)?;
/// let server = abaca::spawn(move || -> std::io::Result<()> {
///     let (mut stream, _peer) = listener.accept()?;
///     stream.write_all(b"welcome")
/// });
/// let mut text = String::new();
/// UnixStream::connect_addr(&address)?.read_to_string(&mut text)?;
/// assert_eq!(text, "welcome");
/// server.join().unwrap()
/// # })
/// # }
/// ```
pub struct UnixListener(Descriptor<net::UnixListener>);

impl UnixListener {
    /// Makes a socket at `path`, which must not exist, and listens. The path stays when the socket is closed.
    ///
    /// # Errors
    ///
    /// * `AddrInUse`: there is something at `path`.
    /// * `NotFound`, `NotADirectory`, `PermissionDenied`, `ReadOnlyFilesystem`: nothing can be made there.
    /// * `InvalidInput`: the path has a NUL, or more than 107 bytes.
    /// * `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens at an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); for an abstract name, `AddrInUse` says that another socket has it.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        lookup::make(address.clone(), net::UnixListener::bind_addr).map(Self::from)
    }

    /// The address it listens at.
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
    /// As for [`TcpListener::accept`](crate::net::TcpListener::accept).
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let call = |inner: &net::UnixListener| socket::accept(inner.as_fd());
        let shut_down = || Err(io::ErrorKind::InvalidInput.into());
        let (fd, address) = take_from_queue(&self.0, Reason::Accept, call, shut_down)?;
        let address = from_kernel(&address)?;
        scheduler::placement_hint();
        Ok((UnixStream::fresh(fd.into()), address))
    }
}

listener_conversions!(UnixListener, net::UnixListener);
descriptor_traits!(UnixListener, net::UnixListener);

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(incoming::next(|| Ok(self.listener.accept()?.0), self.listener.0.is_nonblocking()))
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
