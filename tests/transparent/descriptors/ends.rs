//! Pairs of ends of all kinds.

#![expect(unsafe_code, reason = "sets options of sockets, and waits for them")]

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
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
    limit(reader.as_raw_fd(), libc::SO_RCVBUF);
    limit(writer.as_raw_fd(), libc::SO_SNDBUF);
    (reader.into(), writer.into())
}

/// Makes a buffer small, whatever the machine's are: so a test need not write megabytes until there is no room.
fn limit(socket: RawFd, name: libc::c_int) {
    let bytes: libc::c_int = 64 * 1024;
    // SAFETY: the kernel reads a number.
    unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, name, (&raw const bytes).cast(), size_of_val(&bytes) as _)
    };
}

pub(crate) fn unix() -> Ends {
    let (one, two) = UnixStream::pair().unwrap();
    limit(two.as_raw_fd(), libc::SO_SNDBUF);
    (one.into(), two.into())
}

pub(crate) fn datagram() -> Ends {
    let (one, two) = UnixDatagram::pair().unwrap();
    limit(two.as_raw_fd(), libc::SO_SNDBUF);
    (one.into(), two.into())
}

pub(crate) fn pipe() -> Ends {
    let (reader, writer) = io::pipe().unwrap();
    (reader.into(), writer.into())
}

/// Writes, and waits until it has arrived: on a busy machine the kernel may pass a packet on some time later.
pub(crate) fn deliver((reader, writer): &Ends, bytes: &[u8]) {
    File::from(writer.try_clone().unwrap()).write_all(bytes).unwrap();
    let mut entry = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    assert_eq!(unsafe { libc::poll(&mut entry, 1, -1) }, 1);
}
