//! Sockets that block the fiber instead of the thread. The shape is [`std::net`]'s, method for method.
//!
//! A socket works from fibers and from plain threads alike, and converts from and into its std with_shared_settings.
//!
//! Options that std does not know are set as on its sockets: before a connection is made by [`ListenOptions`] and
//! [`ConnectOptions`], afterwards through the descriptor, with the crate socket2 say:
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # abaca::run(|| {
//! let socket = abaca::net::UdpSocket::bind("127.0.0.1:0")?;
//! let options = socket2::SockRef::from(&socket);
//! options.set_multicast_if_v4(&std::net::Ipv4Addr::LOCALHOST)?;
//! options.set_tos_v4(0x10)?;
//! # Ok(())
//! # })
//! # }
//! ```

mod address;
mod connect;
mod connect_options;
mod happy_eyeballs;
#[cfg(feature = "hyper")]
pub mod hyper;
mod idle_handle;
mod incoming;
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
pub use connect_options::ConnectOptions;
pub use idle_handle::IdleHandle;
pub use listener::{Incoming, IntoIncoming, TcpListener};
pub use options::ListenOptions;
pub use serve::{Listener, ServeOptions, Server, StopHandle};
pub use stream::TcpStream;
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
