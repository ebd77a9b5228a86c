//! Pairs of ends of all kinds.

#![expect(unsafe_code, reason = "sets options of sockets")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

/// A pair of ends: what is written to the second comes out of the first.
pub(crate) type Ends = (OwnedFd, OwnedFd);

/// The name of a kind of ends, how they are made, and whether they are sockets.
pub(crate) type Kind = (&'static str, fn() -> Ends, bool);

pub(crate) const KINDS: &[Kind] =
    &[("tcp", tcp, true), ("unix", unix, true), ("datagram", datagram, true), ("pipe", pipe, false)];

pub(crate) fn tcp() -> Ends {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let reader = listener.accept().unwrap().0;
    // So that a test need not write megabytes until there is no room.
    for (fd, name) in [(reader.as_raw_fd(), libc::SO_RCVBUF), (writer.as_raw_fd(), libc::SO_SNDBUF)] {
        let bytes: libc::c_int = 64 * 1024;
        // SAFETY: the kernel reads a number.
        unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const bytes).cast(), size_of_val(&bytes) as _)
        };
    }
    (reader.into(), writer.into())
}

pub(crate) fn unix() -> Ends {
    let (one, two) = UnixStream::pair().unwrap();
    (one.into(), two.into())
}

pub(crate) fn datagram() -> Ends {
    let (one, two) = UnixDatagram::pair().unwrap();
    (one.into(), two.into())
}

pub(crate) fn pipe() -> Ends {
    let (reader, writer) = io::pipe().unwrap();
    (reader.into(), writer.into())
}
