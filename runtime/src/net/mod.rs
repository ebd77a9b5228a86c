//! Sockets that block the fiber instead of the thread. The shape is [`std::net`]'s, method for method.
//!
//! A socket works from fibers and from plain threads alike, and converts from and into its std twin.

mod address;
mod connect;
mod happy_eyeballs;
#[cfg(feature = "hyper")]
pub mod hyper;
mod listener;
mod options;
mod serve;
mod socket;
mod stream;
mod udp;
pub mod unix;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

pub use address::ToSocketAddrs;
pub use listener::{Incoming, IntoIncoming, TcpListener};
pub use options::ListenOptions;
pub use serve::{Listener, ServeOptions, Server, StopHandle};
pub use stream::TcpStream;
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
