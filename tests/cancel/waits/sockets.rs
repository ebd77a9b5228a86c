//! Waits of `abaca::net`.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::time::Duration;

use abaca::net::unix::SocketAncillary;
use abaca::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use socket2::{Domain, Socket, Type};

use super::{LONG, Setup, Wait, keeping, wait};

pub(super) const WAITS: &[Setup] = &[
    ("TcpListener::accept", || {
        let listener = TcpListener::bind(ANY).unwrap();
        wait(move || drop(listener.accept()))
    }),
    ("TcpListener::incoming", || {
        let listener = TcpListener::bind(ANY).unwrap();
        wait(move || drop(listener.incoming().next()))
    }),
    ("TcpListener::into_incoming", || {
        let listener = TcpListener::bind(ANY).unwrap();
        wait(move || drop(listener.into_incoming().next()))
    }),
    ("TcpStream::connect", || connect(|address| drop(TcpStream::connect(address)))),
    ("TcpStream::connect_timeout", || connect(|address| drop(TcpStream::connect_timeout(&address, LONG)))),
    ("TcpStream::connect_happy_eyeballs, one address", || {
        connect(|address| drop(TcpStream::connect_happy_eyeballs(address)))
    }),
    ("TcpStream::read", || tcp(|mut stream| drop(stream.read(&mut [0])))),
    ("TcpStream::read, with a timeout", || {
        tcp(|mut stream| {
            stream.set_read_timeout(Some(LONG)).unwrap();
            drop(stream.read(&mut [0]));
        })
    }),
    ("TcpStream::read_vectored", || {
        tcp(|mut stream| drop(stream.read_vectored(&mut [IoSliceMut::new(&mut [0])])))
    }),
    ("TcpStream::peek", || tcp(|stream| drop(stream.peek(&mut [0])))),
    ("TcpStream::write", || tcp(|mut stream| while stream.write(BYTES).is_ok() {})),
    ("TcpStream::write_vectored", || {
        tcp(|mut stream| while stream.write_vectored(&[IoSlice::new(BYTES)]).is_ok() {})
    }),
    ("UdpSocket::recv_from", || udp(|socket| drop(socket.recv_from(&mut [0])))),
    ("UdpSocket::peek_from", || udp(|socket| drop(socket.peek_from(&mut [0])))),
    ("UdpSocket::recv", || udp(|socket| drop(socket.recv(&mut [0])))),
    ("UdpSocket::peek", || udp(|socket| drop(socket.peek(&mut [0])))),
    ("UnixListener::accept", || {
        let listener = UnixListener::bind_addr(&unnamed()).unwrap();
        wait(move || drop(listener.accept()))
    }),
    ("UnixListener::incoming", || {
        let listener = UnixListener::bind_addr(&unnamed()).unwrap();
        wait(move || drop(listener.incoming().next()))
    }),
    ("UnixStream::connect_addr", || {
        let full = UnixListener::bind_addr(&unnamed()).unwrap();
        socket2::SockRef::from(&full).listen(0).unwrap();
        let address = full.local_addr().unwrap();
        let queued = UnixStream::connect_addr(&address).unwrap();
        keeping((full, queued), move || drop(UnixStream::connect_addr(&address)))
    }),
    ("UnixStream::read", || unix(|mut stream| drop(stream.read(&mut [0])))),
    ("UnixStream::peek", || unix(|stream| drop(stream.peek(&mut [0])))),
    ("UnixStream::write", || unix(|mut stream| while stream.write(BYTES).is_ok() {})),
    ("UnixStream::recv_vectored_with_ancillary", || {
        unix(|stream| {
            let (bytes, mut room) = (&mut [0], [0; 32]);
            let mut ancillary = SocketAncillary::new(&mut room);
            drop(stream.recv_vectored_with_ancillary(&mut [IoSliceMut::new(bytes)], &mut ancillary));
        })
    }),
    ("UnixStream::send_vectored_with_ancillary", || {
        unix(|stream| {
            let mut none = SocketAncillary::new(&mut []);
            while stream.send_vectored_with_ancillary(&[IoSlice::new(BYTES)], &mut none).is_ok() {}
        })
    }),
    ("UnixDatagram::recv", || datagrams(|socket| drop(socket.recv(&mut [0])))),
    ("UnixDatagram::recv_from", || datagrams(|socket| drop(socket.recv_from(&mut [0])))),
    ("UnixDatagram::peek", || datagrams(|socket| drop(socket.peek(&mut [0])))),
    ("UnixDatagram::peek_from", || datagrams(|socket| drop(socket.peek_from(&mut [0])))),
    ("UnixDatagram::recv_vectored_with_ancillary_from", || {
        datagrams(|socket| {
            let (bytes, mut room) = (&mut [0], [0; 32]);
            let mut ancillary = SocketAncillary::new(&mut room);
            drop(socket.recv_vectored_with_ancillary_from(&mut [IoSliceMut::new(bytes)], &mut ancillary));
        })
    }),
    ("UnixDatagram::send", || datagrams(|socket| while socket.send(b"x").is_ok() {})),
    ("UnixDatagram::send_to_addr", || {
        let receiver = UnixDatagram::bind_addr(&unnamed()).unwrap();
        let address = receiver.local_addr().unwrap();
        keeping(receiver, move || {
            let sender = UnixDatagram::unbound().unwrap();
            while sender.send_to_addr(b"x", &address).is_ok() {}
        })
    }),
    ("UnixDatagram::send_vectored_with_ancillary", || {
        datagrams(|socket| {
            let mut none = SocketAncillary::new(&mut []);
            while socket.send_vectored_with_ancillary(&[IoSlice::new(b"x")], &mut none).is_ok() {}
        })
    }),
];

const ANY: &str = "127.0.0.1:0";

const BYTES: &[u8] = &[0; 65536];

/// An address for which the kernel chooses a free abstract name.
fn unnamed() -> UnixAddress {
    UnixAddress::from_pathname("").unwrap()
}

/// Connects to a listener whose queue is full.
fn connect(f: fn(SocketAddr)) -> Wait {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&ANY.parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // The kernel completes one connection more than the backlog, and drops the packets of further ones.
    let mut queued = vec![std::net::TcpStream::connect(address).unwrap()];
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(20)) {
        queued.push(stream);
    }
    keeping((listener, queued), move || f(address))
}

/// Calls `f` with a stream whose peer neither sends nor receives.
fn tcp(f: fn(TcpStream)) -> Wait {
    let listener = std::net::TcpListener::bind(ANY).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    keeping(listener.accept().unwrap(), move || f(stream))
}

fn unix(f: fn(UnixStream)) -> Wait {
    let (stream, peer) = UnixStream::pair().unwrap();
    keeping(peer, move || f(stream))
}

fn datagrams(f: fn(UnixDatagram)) -> Wait {
    let (socket, peer) = UnixDatagram::pair().unwrap();
    keeping(peer, move || f(socket))
}

/// Calls `f` with a socket to which nobody sends.
fn udp(f: fn(UdpSocket)) -> Wait {
    let socket = UdpSocket::bind(ANY).unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    wait(move || f(socket))
}
