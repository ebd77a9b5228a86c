//! Settings of a connection for which std leaves no choice.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockAddr, Socket, TcpKeepalive};

use super::address::first_that;
use super::{TcpStream, ToSocketAddrs, connect};

/// Settings of a connection that must be made before it connects. std's
/// [`TcpStream::connect`](std::net::TcpStream::connect) leaves them to the system.
///
/// ```
/// use std::time::Duration;
/// use abaca::net::{ConnectOptions, TcpListener};
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = ConnectOptions::new()
///     .local_address("127.0.0.2:0".parse().unwrap())
///     .keepalive(Duration::from_secs(60))
///     .connect(listener.local_addr()?)?;
/// assert_eq!(listener.accept()?.1, stream.local_addr()?);
/// assert_eq!(stream.local_addr()?.ip(), "127.0.0.2".parse::<std::net::IpAddr>().unwrap());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they connect"]
pub struct ConnectOptions {
    local_address: Option<SocketAddr>,
    nodelay: bool,
    keepalive: Option<Duration>,
    send_buffer_bytes: Option<usize>,
    recv_buffer_bytes: Option<usize>,
}

impl ConnectOptions {
    /// The settings of [`TcpStream::connect`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects from this address, and from its port unless that is 0. Default: the system's choice. Connecting to an address of
    /// the other family then fails.
    pub fn local_address(mut self, address: SocketAddr) -> Self {
        self.local_address = Some(address);
        self
    }

    /// `TCP_NODELAY`: small writes go out at once. Default false, as std.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// `SO_KEEPALIVE`: asks a peer that has been silent for `idle` whether it is still there, and ends the connection if it
    /// does not answer. Whole seconds, at least one. Default: never.
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.keepalive = Some(idle.max(Duration::from_secs(1)));
        self
    }

    /// `SO_SNDBUF`: how many bytes the kernel keeps until the peer has acknowledged them. The kernel doubles the number.
    /// Default: the buffer grows by itself.
    pub fn send_buffer_bytes(mut self, bytes: usize) -> Self {
        self.send_buffer_bytes = Some(bytes);
        self
    }

    /// `SO_RCVBUF`: how many bytes the kernel keeps until they are read. The kernel doubles the number. It must be set before
    /// the connection is made, since it decides the window that is offered. Default: the buffer grows by itself.
    pub fn recv_buffer_bytes(mut self, bytes: usize) -> Self {
        self.recv_buffer_bytes = Some(bytes);
        self
    }

    /// Connects to the first of the addresses that answers. Put [`timeout`](crate::time::timeout) around it to limit the
    /// whole.
    ///
    /// # Errors
    ///
    /// As for [`TcpStream::connect`]; and:
    ///
    /// * `AddrInUse`: another socket has the local address and port.
    /// * `AddrNotAvailable`: the local address is not one of this machine, or it has no free port.
    pub fn connect<A: ToSocketAddrs>(&self, address: A) -> io::Result<TcpStream> {
        first_that(address, |address| connect::connect_prepared(address, None, |socket| self.prepare(socket)))
    }

    fn prepare(&self, socket: &Socket) -> io::Result<()> {
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.recv_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
        }
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        self.local_address.map_or(Ok(()), |address| socket.bind(&SockAddr::from(address)))
    }
}
