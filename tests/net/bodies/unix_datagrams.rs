//! What a program does with Unix datagram sockets, and what it observes. `super` decides whose they are.

use std::io::{ErrorKind, Result};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::time::Duration;

use super::thread;
use super::unix::{SocketAddr, UnixDatagram};
use crate::Folder;

/// A socket with a name that the kernel has chosen.
fn socket() -> (UnixDatagram, SocketAddr) {
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_pathname("").unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

pub(crate) fn unix_datagrams_arrive_whole_and_in_order() -> (Vec<Vec<u8>>, bool) {
    let folder = Folder::new();
    let (receiver, sender) = (folder.path("receiver"), folder.path("sender"));
    let socket = UnixDatagram::bind(&receiver).unwrap();
    let origin = sender.clone();
    let sending = thread::spawn(move || {
        let socket = UnixDatagram::bind(&sender).unwrap();
        socket.send_to(b"to a path", &receiver).unwrap();
        socket.send_to_addr(b"to an address", &SocketAddr::from_pathname(&receiver).unwrap()).unwrap();
        socket.connect(&receiver).unwrap();
        socket.send(b"to the peer").unwrap();
        socket
    });
    let mut from_sender = true;
    let mut buffer = [0; 32];
    let received = (0..3)
        .map(|_| {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            from_sender &= from.as_pathname() == Some(&*origin);
            buffer[..length].to_vec()
        })
        .collect();
    sending.join().unwrap();
    (received, from_sender)
}

pub(crate) fn an_unbound_sender_has_no_name() -> (bool, bool, usize) {
    let (receiver, address) = socket();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect_addr(&address).unwrap();
    assert_eq!(sender.peer_addr().unwrap().as_abstract_name(), address.as_abstract_name());
    sender.send(b"who?").unwrap();
    let (length, from) = receiver.recv_from(&mut [0; 8]).unwrap();
    (from.is_unnamed(), sender.local_addr().unwrap().is_unnamed(), length)
}

const MANY: u32 = 2000;

/// Receives `MANY` numbers; whether they came in order.
fn receive_all(receiver: &UnixDatagram) -> bool {
    let mut buffer = [0; 4];
    (0..MANY).all(|number| {
        receiver.recv(&mut buffer).unwrap();
        u32::from_le_bytes(buffer) == number
    })
}

pub(crate) fn a_full_receiver_holds_up_a_connected_sender() -> bool {
    let (receiver, address) = socket();
    let sending = thread::spawn(move || {
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&address).unwrap();
        for number in 0..MANY {
            sender.send(&number.to_le_bytes()).unwrap();
        }
    });
    thread::yield_now();
    let in_order = receive_all(&receiver);
    sending.join().unwrap();
    in_order
}

pub(crate) fn a_full_receiver_holds_up_an_unconnected_sender() -> bool {
    let (receiver, address) = socket();
    let sending = thread::spawn(move || {
        let sender = UnixDatagram::unbound().unwrap();
        for number in 0..MANY {
            sender.send_to_addr(&number.to_le_bytes(), &address).unwrap();
        }
    });
    thread::yield_now();
    let in_order = receive_all(&receiver);
    sending.join().unwrap();
    in_order
}

pub(crate) fn a_full_receiver_times_a_sender_out() -> Vec<ErrorKind> {
    let (_receiver, address) = socket();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
    let until_full = |send: &dyn Fn() -> Result<usize>| loop {
        let result = send();
        if result.is_err() {
            return kind(result);
        }
    };
    let mut seen = vec![until_full(&|| sender.send_to_addr(b"x", &address))];
    sender.connect_addr(&address).unwrap();
    seen.push(until_full(&|| sender.send(b"x")));
    sender.set_nonblocking(true).unwrap();
    seen.push(until_full(&|| sender.send(b"x")));
    seen.push(until_full(&|| sender.send_to_addr(b"x", &address)));
    seen
}

pub(crate) fn unix_datagrams_are_cut_off_at_the_buffer() -> Vec<usize> {
    let (one, other) = UnixDatagram::pair().unwrap();
    one.send(b"too long").unwrap();
    one.send(b"").unwrap();
    one.send(b"next").unwrap();
    let mut buffer = [0; 5];
    (0..3).map(|_| other.recv_from(&mut buffer).unwrap().0).collect()
}

pub(crate) fn unix_datagram_errors_are_the_same() -> Vec<String> {
    let folder = Folder::new();
    let path = folder.path("socket");
    drop(UnixDatagram::bind(&path).unwrap());
    let socket = UnixDatagram::unbound().unwrap();
    let (one, other) = UnixDatagram::pair().unwrap();
    drop(other);
    [
        UnixDatagram::bind(&path).map(drop),
        UnixDatagram::bind("a\0b").map(drop),
        socket.connect(&path),
        socket.connect(folder.path("nothing")),
        socket.send(b"x").map(drop),
        socket.send_to(b"x", &path).map(drop),
        socket.send_to(b"x", "a\0b").map(drop),
        socket.peer_addr().map(drop),
        one.send(b"x").map(drop),
    ]
    .map(|result| result.unwrap_err().to_string())
    .into()
}

pub(crate) fn a_unix_datagram_shutdown_ends_a_receive_that_waits() -> usize {
    let (one, _other) = UnixDatagram::pair().unwrap();
    let clone = one.try_clone().unwrap();
    let receiving = thread::spawn(move || clone.recv(&mut [0; 4]).unwrap());
    thread::yield_now();
    one.shutdown(Shutdown::Read).unwrap();
    receiving.join().unwrap()
}

pub(crate) fn unix_datagram_modes_and_timeouts_are_kept() -> Vec<String> {
    let (one, _other) = UnixDatagram::pair().unwrap();
    one.set_read_timeout(Some(Duration::from_millis(4))).unwrap();
    let mut seen = vec![format!("{:?}", one.read_timeout()), format!("{:?}", one.write_timeout())];
    seen.push(format!("{:?}", kind(one.recv(&mut [0]))));
    one.set_nonblocking(true).unwrap();
    seen.push(format!("{:?}", kind(one.recv_from(&mut [0]))));
    seen.push(format!("{:?}", one.take_error()));
    seen
}
