//! Sockets of the Unix domain. The shape is [`std::os::unix::net`]'s, with what std has there only on nightly:
//! credentials, and the passing of descriptors.
//!
//! A socket's name is a path, or an abstract name (see [`SocketAddrExt`]), which vanishes with its socket.

use std::io;
use std::os::fd::AsFd;

use crate::cell::Reason;
use crate::io::Descriptor;
use crate::os::epoll;

mod address;
mod ancillary;
mod credentials;
mod datagram;
mod listener;
mod lookup;
mod stream;

pub use std::os::linux::net::SocketAddrExt;
pub use std::os::unix::net::SocketAddr;

pub use ancillary::{AncillaryData, AncillaryError, Messages, ScmCredentials, ScmRights, SocketAncillary};
pub use credentials::{SocketCred, UCred};
pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use stream::UnixStream;

/// Takes something from the queue of a listener or a datagram socket, or says what there is at the end.
///
/// A shutdown ends a call that waits in the kernel. A call that must not wait is told to, as if more could come, so
/// it looks for itself.
fn take_from_queue<T: AsFd, R>(
    descriptor: &Descriptor<T>,
    reason: Reason,
    mut call: impl FnMut(&T) -> io::Result<R>,
    at_end: impl Fn() -> io::Result<R>,
) -> io::Result<R> {
    let look = |inner: &T| match call(inner) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !descriptor.is_nonblocking() => {
            if !epoll::reads_have_ended(inner.as_fd())? {
                return Err(error);
            }
            // Once more: something may have come between the call and the end.
            match call(inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => at_end(),
                result => result,
            }
        }
        result => result,
    };
    descriptor.retry_in_line(reason, look)
}
