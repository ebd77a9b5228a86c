//! Servers: a fiber per connection, spread over the workers, with a limit, and a graceful end.
//!
//! One fiber accepts (`accepting.rs`) and spawns the handlers; what both sides and the [`Server`] share is a table of
//! the open connections (`connections.rs`). The accept loop owns the listener, so the port is free once it has ended.

mod accepting;
mod connections;
mod server;

use std::io;
use std::net;
use std::sync::Arc;

pub use server::{Server, StopHandle};

use super::{IdleHandle, TcpListener, TcpStream, UnixListener, UnixStream, unix};
use crate::cancel::CancellationToken;
use accepting::Acceptor;
use connections::Connections;

/// A source of connections. Implement it for a listener that wraps another, for example for TLS.
pub trait Listener: Send + 'static {
    /// A connection.
    type Stream: Send + 'static;
    /// The address of the peer.
    type Addr: Send + 'static;

    /// Blocks the fiber until there is a connection.
    ///
    /// # Errors
    ///
    /// Those of accept(2), as errors of the operating system: [`ServeOptions::serve`] decides by the number what to do. Any
    /// other error counts as the connection's, and the server goes on.
    fn accept(&self) -> io::Result<(Self::Stream, Self::Addr)>;

    /// The handle by which a [drain](Server::drain) ends an idle `stream`: that of `stream`, or of the socket beneath. Default:
    /// `None`, and a drain waits until the connection ends by itself, or cancels it.
    fn idle_handle(stream: &Self::Stream) -> Option<IdleHandle> {
        let _ = stream;
        None
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Addr = net::SocketAddr;

    fn accept(&self) -> io::Result<(TcpStream, net::SocketAddr)> {
        self.accept()
    }

    fn idle_handle(stream: &TcpStream) -> Option<IdleHandle> {
        Some(stream.idle_handle())
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Addr = unix::SocketAddr;

    fn accept(&self) -> io::Result<(UnixStream, unix::SocketAddr)> {
        self.accept()
    }

    fn idle_handle(stream: &UnixStream) -> Option<IdleHandle> {
        Some(stream.idle_handle())
    }
}

impl TcpListener {
    /// Serves each connection with a call of `handler` on a fiber of its own. [`ServeOptions`] has more to set, and
    /// says how errors are handled.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    /// use abaca::net::{TcpListener, TcpStream};
    /// # fn main() -> std::io::Result<()> {
    /// # abaca::run(|| {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// let server = listener.serve(|mut stream, _peer| {
    ///     let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
    /// });
    /// let mut client = TcpStream::connect(address)?;
    /// client.write_all(b"echo")?;
    /// client.read_exact(&mut [0; 4])?;
    /// drop(client);
    /// assert_eq!(server.drain(Duration::from_secs(10)), 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn serve<H>(self, handler: H) -> Server
    where
        H: Fn(TcpStream, net::SocketAddr) + Send + Sync + 'static,
    {
        ServeOptions::new().serve(self, handler)
    }
}

impl UnixListener {
    /// Serves each connection with a call of `handler` on a fiber of its own, as
    /// [`TcpListener::serve`] does.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn serve<H>(self, handler: H) -> Server
    where
        H: Fn(UnixStream, unix::SocketAddr) + Send + Sync + 'static,
    {
        ServeOptions::new().serve(self, handler)
    }
}

/// Settings of a server.
///
/// ```
/// use abaca::net::{ServeOptions, TcpListener};
/// use std::time::Duration;
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let server = ServeOptions::new().max_connections(1000).serve(listener, |stream, peer| {
///     println!("{peer}: {:?}", stream.set_nodelay(true));
/// });
/// server.stop_handle().stop();
/// server.drain(Duration::ZERO);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they serve"]
pub struct ServeOptions {
    max_connections: usize,
    stack_size: Option<usize>,
    stop: Option<CancellationToken>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self { max_connections: usize::MAX, stack_size: None, stop: None }
    }
}

impl ServeOptions {
    /// The settings of [`TcpListener::serve`].
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections are served at once; further ones wait in the listener's queue. Default: no limit.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_connections(mut self, connections: usize) -> Self {
        assert!(connections > 0, "a server that serves at most 0 connections serves none");
        self.max_connections = connections;
        self
    }

    /// The size of each handler's stack in bytes. Default: the runtime's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Cancelling `token` stops the server, and the server's [`stop`](Server::stop) cancels the token: handlers that
    /// have a clone of it see that they should come to an end.
    pub fn stop_on(mut self, token: &CancellationToken) -> Self {
        self.stop = Some(token.clone());
        self
    }

    /// Serves each connection of `listener` with a call of `handler` on a fiber of its own. Returns at once.
    ///
    /// A handler that panics ends only its own connection. Dropping the [`Server`] leaves the server running. The end of
    /// [`run`](fn@crate::run) cancels the accept loop and the handlers.
    ///
    /// Errors of accept are handled so:
    ///
    /// * A connection that was given up before it was accepted (`ECONNABORTED`, and the network errors that accept(2)
    ///   passes on) is ignored.
    /// * While no descriptor or no memory is left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), or no room for another fiber, the
    ///   server waits until a connection ends, at most for a second, and goes on.
    /// * Any other error of the operating system ends the server; [`Server::stopped`] returns it.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn serve<L, H>(self, listener: L, handler: H) -> Server
    where
        L: Listener,
        H: Fn(L::Stream, L::Addr) + Send + Sync + 'static,
    {
        let token = self.stop.unwrap_or_default();
        let connections = Arc::new(Connections::new());
        let (server, ending) = Server::new(token.clone(), Arc::clone(&connections));
        let acceptor = Acceptor {
            listener,
            handler: Arc::new(handler),
            connections,
            max_connections: self.max_connections,
            stack_size: self.stack_size,
            stop: token,
        };
        crate::fiber::spawn(move || {
            // Consumes the acceptor: the listener is closed before the end is told.
            if let Err(error) = acceptor.run() {
                ending.fail(error);
            }
        });
        server
    }
}
