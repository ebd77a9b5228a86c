//! Connecting: start, park until the socket is writable, ask how it went.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::TcpStream;
use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::socket::IN_PROGRESS;
use crate::poller::Way;

/// A stream to `address`; `timeout` of `None` leaves it to the kernel, which gives up after some two minutes.
pub(super) fn connect(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    connect_prepared(address, timeout, |_| Ok(()))
}

/// [`connect`], of a socket that `prepare` has set up.
pub(super) fn connect_prepared(
    address: SocketAddr,
    timeout: Option<Duration>,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<TcpStream> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    prepare(&socket)?;
    let result = socket.connect(&SockAddr::from(address));
    let descriptor = Descriptor::new(std::net::TcpStream::from(socket), Kind::Stream);
    match result {
        Ok(()) => {}
        Err(error) if is_in_progress(&error) => {
            descriptor
                .retry(Way::Write, Reason::Connect, deadline, outcome, |()| false)
                .map_err(timed_out)?;
        }
        Err(error) => return Err(error),
    }
    // From here on each call says that it must not block; see `TcpStream`.
    descriptor.get().set_nonblocking(false)?;
    Ok(TcpStream::from_descriptor(descriptor))
}

/// An interrupted connect(2) goes on in the background, like any other on a non-blocking socket.
pub(super) fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(IN_PROGRESS) || error.kind() == io::ErrorKind::Interrupted
}

/// How the connecting went; `WouldBlock` while it goes on.
pub(super) fn outcome(stream: &std::net::TcpStream) -> io::Result<()> {
    // Readiness alone says nothing: a refused connection is writable too.
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        other => other.map(drop),
    }
}

/// A deadline that passes says `WouldBlock`; of a connect, std says `TimedOut`.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
    } else {
        error
    }
}
