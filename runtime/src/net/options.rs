//! Settings of a listener for which std leaves no choice.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::address::first_that;
use super::{TcpListener, ToSocketAddrs};

/// Settings of a listening socket. [`TcpListener::bind`] uses the defaults.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use abaca::net::ListenOptions;
/// let first = ListenOptions::new().backlog(4096).reuse_port(true).bind("127.0.0.1:0")?;
/// let second = ListenOptions::new().reuse_port(true).bind(first.local_addr()?)?;
/// assert_eq!(first.local_addr()?, second.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they bind"]
pub struct ListenOptions {
    backlog: i32,
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        // The kernel caps the backlog at net.core.somaxconn (4096 by default); std asks for 128.
        Self { backlog: 4096, reuse_address: true, reuse_port: false, only_v6: None }
    }
}

impl ListenOptions {
    /// The settings of [`TcpListener::bind`].
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections the kernel completes ahead of `accept`. Default 4096, and at most
    /// `net.core.somaxconn`.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = i32::try_from(connections).unwrap_or(i32::MAX);
        self
    }

    /// `SO_REUSEADDR`: bind although old connections of the port are in `TIME_WAIT`. Default true, as std.
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// `SO_REUSEPORT`: several listeners on one port, among which the kernel distributes connections. Default false.
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// `IPV6_V6ONLY`, for IPv6 addresses. Default: the system's.
    pub fn only_v6(mut self, only: bool) -> Self {
        self.only_v6 = Some(only);
        self
    }

    /// Binds and listens, on the first of the addresses that works.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`]. With [`reuse_port`](Self::reuse_port), `AddrInUse` says that another socket has the address and
    /// port without it, or belongs to another user.
    pub fn bind<A: ToSocketAddrs>(&self, address: A) -> io::Result<TcpListener> {
        first_that(address, |address| self.bind_one(address))
    }

    fn bind_one(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        if self.reuse_address {
            socket.set_reuse_address(true)?;
        }
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if let (Some(only), true) = (self.only_v6, address.is_ipv6()) {
            socket.set_only_v6(only)?;
        }
        socket.bind(&SockAddr::from(address))?;
        socket.listen(self.backlog)?;
        Ok(TcpListener::from_nonblocking(std::net::TcpListener::from(socket)))
    }
}
