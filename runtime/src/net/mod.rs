//! Sockets that block the fiber instead of the thread. The shape is [`std::net`]'s, method for method.
//!
//! A socket works from fibers and from plain threads alike, and converts from and into its std counterpart.
//!
//! # A server
//!
//! [`TcpListener::serve`] runs a fiber for each connection and handles the errors of accept. [`ServeOptions`] sets limits,
//! [`Server::drain`] ends the server gracefully, and `net::hyper` (feature `hyper`) serves HTTP.
//!
//! ```
//! use std::io::{self, BufRead, BufReader, Write};
//! use std::time::Duration;
//!
//! use abaca::net::{ServeOptions, TcpListener, TcpStream};
//!
//! /// Answers each line with its length, until the client ends or is silent for a minute.
//! fn serve(stream: &TcpStream) -> io::Result<()> {
//!     stream.set_read_timeout(Some(Duration::from_secs(60)))?;
//!     for line in BufReader::new(stream).lines() {
//!         writeln!(&mut &*stream, "{}", line?.len())?;
//!     }
//!     Ok(())
//! }
//!
//! #[abaca::main]
//! fn main() -> io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     println!("listening on {}", listener.local_addr()?);
//! #   let address = listener.local_addr()?;
//!     let server = ServeOptions::new().max_connections(10_000).serve(listener, |stream, peer| {
//!         if let Err(error) = serve(&stream) {
//!             eprintln!("{peer}: {error}");
//!         }
//!     });
//! #   let client = TcpStream::connect(address)?;
//! #   (&client).write_all(b"fiber\n")?;
//! #   let mut answer = String::new();
//! #   BufReader::new(&client).read_line(&mut answer)?;
//! #   assert_eq!(answer, "5\n");
//! #   #[cfg(any())]
//!     abaca::signal::ctrl_c()?;
//!     // Idle connections end now, busy ones have ten seconds, and the rest is cancelled.
//!     let cancelled = server.drain(Duration::from_secs(10));
//!     println!("{cancelled} connections were cut");
//! #   assert_eq!(cancelled, 0);
//!     Ok(())
//! }
//! ```
//!
//! # Socket options
//!
//! Options that std does not have are set before a connection is made by [`ListenOptions`] and [`ConnectOptions`], and
//! afterwards through the descriptor, for example with the crate socket2:
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
