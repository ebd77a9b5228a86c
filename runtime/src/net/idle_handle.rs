//! Ends the idling of a connection: see [`IdleHandle`].

use std::sync::Arc;

use crate::io::Idle;

/// Tells the handler of a connection that there will be no further request, once it waits for one: the gentle end of a
/// connection that is kept alive. A [drain](super::Server::drain) uses it; so can a server that accepts by itself.
///
/// The runtime takes a connection for idle when the fiber that wrote last waits to read, or when nothing was read or
/// written yet: then the read gives 0 bytes, as if the peer had sent its last. What has arrived is read first, a handler
/// that is busy finds it out when it comes back to read, and the rest of what has begun to arrive is waited for. A fiber
/// that reads beside another one that writes is never told.
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

    /// From now on, whoever is idle reads the end. Returns at once.
    pub fn end(&self) {
        self.0.end();
    }
}
