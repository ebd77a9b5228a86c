//! The handle that ends an idle connection: see [`IdleHandle`].

use std::sync::Arc;

use crate::io::Idle;

/// Ends a connection gently: a handler that waits for the next request reads the end of the stream.
/// [`Server::drain`](super::Server::drain) uses it; a server that accepts by itself can use it too.
///
/// A connection is idle when the fiber that wrote last waits to read, or when nothing was read or written yet. Then the read
/// returns 0, as if the peer had ended its side. What has arrived is read first. A busy handler reads the end when it comes
/// back to read. A request that has begun to arrive is waited for. If one fiber reads and another writes, the connection is
/// never taken for idle.
///
/// ```
/// use std::io::{Read, Write};
/// use abaca::net::{TcpListener, TcpStream};
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut stream, _peer) = listener.accept()?;
/// let handle = stream.idle_handle();
/// let handler = abaca::spawn(move || {
///     let mut requests = 0;
///     while let Ok(1..) = stream.read(&mut [0; 64]) {
///         stream.write_all(b"answer").unwrap();
///         requests += 1;
///     }
///     requests
/// });
/// client.write_all(b"question")?;
/// client.read_exact(&mut [0; 6])?;
/// handle.end();
/// assert_eq!(handler.join().unwrap(), 1);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IdleHandle(Arc<Idle>);

impl IdleHandle {
    pub(in crate::net) fn new(idle: Arc<Idle>) -> Self {
        Self(idle)
    }

    /// From now on, an idle reader of this connection reads the end. Returns at once.
    pub fn end(&self) {
        self.0.end();
    }
}
