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
use crate::cancel::CancelToken;
use accepting::Acceptor;
use connections::Connections;

/// What connections are accepted from. A listener that wraps another, for TLS say, implements it itself.
pub trait Listener: Send + 'static {
    /// A connection.
    type Stream: Send + 'static;
    /// Who is at the other end.
    type Addr: Send + 'static;

    /// Blocks the fiber until there is a connection.
    ///
    /// # Errors
    ///
    /// What accept(2) says, as an error of the operating system: [`ServeOptions::serve`] tells by it what to do. Any
    /// other error is taken for one that passes.
    fn accept(&self) -> io::Result<(Self::Stream, Self::Addr)>;

    /// What tells the handler of `stream`, between two requests, that there will be no further one: `stream`'s, or that of
    /// the socket beneath. Default: there is none, and a [drain](Server::drain) waits until the connection ends by itself.
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
    stop: Option<CancelToken>,
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
    pub fn stop_on(mut self, token: &CancelToken) -> Self {
        self.stop = Some(token.clone());
        self
    }

    /// Serves each connection of `listener` with a call of `handler` on a fiber of its own. Returns at once.
    ///
    /// A handler that panics ends its own connection only. What accept(2) says decides what happens next:
    ///
    /// * a connection that was given up before it was accepted (`ECONNABORTED` and the network errors that accept(2)
    ///   passes on) is ignored;
    /// * when there are no descriptors or no memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), or there is no room for
    ///   another fiber, the server waits until a connection ends, at most for a second, and goes on;
    /// * with any other error of the operating system it ends, as [`Server::stopped`] tells.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
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
