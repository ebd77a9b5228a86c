//! What a program does with UDP sockets, and what it observes. `super` decides whose sockets they are.

use std::io::{ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::net::UdpSocket;
use super::thread;

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn pair() -> (UdpSocket, UdpSocket) {
    let ((one, one_address), (other, other_address)) = (socket(), socket());
    one.connect(other_address).unwrap();
    other.connect(one_address).unwrap();
    (one, other)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

pub(crate) fn a_datagram_arrives_whole_and_says_from_where() -> (usize, usize, Vec<u8>) {
    let ((receiver, to), (sender, from)) = (socket(), socket());
    let sent = sender.send_to(b"a datagram", to).unwrap();
    let mut buffer = [0; 64];
    let (length, origin) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!(origin, from);
    (sent, length, buffer[..length].to_vec())
}

pub(crate) fn a_datagram_that_is_too_long_is_cut_off() -> (usize, usize) {
    let ((receiver, to), (sender, _)) = (socket(), socket());
    sender.send_to(b"much too long", to).unwrap();
    sender.send_to(b"next", to).unwrap();
    let mut buffer = [0; 4];
    let first = receiver.recv_from(&mut buffer).unwrap().0;
    let next = receiver.recv(&mut buffer).unwrap();
    assert_eq!(&buffer, b"next");
    (first, next)
}

pub(crate) fn an_empty_datagram_arrives() -> (usize, usize, usize) {
    let (one, other) = pair();
    let sent = one.send(b"").unwrap();
    let peeked = other.peek(&mut [0; 4]).unwrap();
    (sent, peeked, other.recv(&mut [0; 4]).unwrap())
}

pub(crate) fn a_connected_socket_hears_its_peer_only() -> Vec<u8> {
    let ((one, one_address), (other, other_address), (stranger, _)) = (socket(), socket(), socket());
    one.connect(other_address).unwrap();
    assert_eq!(one.peer_addr().unwrap(), other_address);
    stranger.send_to(b"stranger", one_address).unwrap();
    other.send_to(b"peer", one_address).unwrap();
    let mut buffer = [0; 16];
    let length = one.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

pub(crate) fn a_peek_leaves_the_datagram() -> Vec<usize> {
    let ((receiver, to), (sender, from)) = (socket(), socket());
    sender.send_to(b"twice", to).unwrap();
    let mut buffer = [0; 16];
    let (length, origin) = receiver.peek_from(&mut buffer).unwrap();
    assert_eq!(origin, from);
    vec![length, receiver.peek(&mut buffer[..2]).unwrap(), receiver.recv(&mut buffer).unwrap()]
}

pub(crate) fn a_receive_waits_for_its_datagram() -> Vec<u8> {
    let (one, other) = pair();
    let receiving = thread::spawn(move || {
        let mut buffer = [0; 3];
        (0..3).map(|_| other.recv_from(&mut buffer).map(|_| buffer[0]).unwrap()).collect()
    });
    thread::yield_now();
    for byte in 1..=3 {
        one.send(&[byte]).unwrap();
        thread::yield_now();
    }
    receiving.join().unwrap()
}

pub(crate) fn a_receive_times_out_and_can_go_on() -> Vec<ErrorKind> {
    let (one, other) = pair();
    other.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    let mut buffer = [0; 4];
    let seen = vec![
        kind(other.recv(&mut buffer)),
        kind(other.recv_from(&mut buffer)),
        kind(other.peek(&mut buffer)),
        kind(other.peek_from(&mut buffer)),
        kind(other.set_read_timeout(Some(Duration::ZERO))),
    ];
    other.set_read_timeout(None).unwrap();
    let receiving = thread::spawn(move || other.recv(&mut [0; 4]).unwrap());
    one.send(b"late").unwrap();
    assert_eq!(receiving.join().unwrap(), 4);
    seen
}

pub(crate) fn a_refusal_is_told_to_a_connected_socket() -> ErrorKind {
    let (one, _) = socket();
    // Of an address on which no other test binds a port, which nobody takes when it is given up.
    let other = UdpSocket::bind("127.2.0.1:0").unwrap();
    one.connect(other.local_addr().unwrap()).unwrap();
    drop(other);
    // The first is sent; the answer, that nobody is there, comes back as an error.
    let _ = one.send(b"to nobody");
    kind(one.recv(&mut [0; 4]))
}

pub(crate) fn clones_share_the_socket() -> (usize, Option<Duration>) {
    let (one, other) = pair();
    let clone = other.try_clone().unwrap();
    other.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    let receiving = thread::spawn(move || clone.recv(&mut [0; 8]).map(|length| (length, clone)).unwrap());
    one.send(b"either").unwrap();
    let (length, clone) = receiving.join().unwrap();
    (length, clone.read_timeout().unwrap())
}

pub(crate) fn nonblocking_receives_say_would_block() -> Vec<ErrorKind> {
    let (one, other) = pair();
    one.send(b"x").unwrap();
    other.recv(&mut [0; 1]).unwrap();
    other.set_nonblocking(true).unwrap();
    let clone = other.try_clone().unwrap();
    vec![kind(other.recv(&mut [0; 1])), kind(clone.recv_from(&mut [0; 1])), kind(other.peek(&mut [0; 1]))]
}

pub(crate) fn udp_options_are_kept() -> Vec<String> {
    let (socket, _) = socket();
    socket.set_broadcast(true).unwrap();
    socket.set_ttl(42).unwrap();
    socket.set_multicast_ttl_v4(3).unwrap();
    socket.set_multicast_loop_v4(false).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    vec![
        format!("{:?}", socket.broadcast()),
        format!("{:?}", socket.ttl()),
        format!("{:?}", socket.multicast_ttl_v4()),
        format!("{:?}", socket.multicast_loop_v4()),
        format!("{:?}", socket.multicast_loop_v6().map_err(|error| error.kind())),
        format!("{:?}", socket.set_multicast_loop_v6(true).map_err(|error| error.kind())),
        format!("{:?}", socket.read_timeout()),
        format!("{:?}", socket.write_timeout()),
        format!("{:?}", socket.take_error()),
    ]
}

pub(crate) fn a_group_is_joined_and_left() -> Vec<String> {
    let (socket, _) = socket();
    let (group, any) = (Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::LOCALHOST);
    let group_v6: Ipv6Addr = "ff02::fb".parse().unwrap();
    // What a machine allows, it allows to all sides.
    [
        socket.join_multicast_v4(&group, &any),
        socket.leave_multicast_v4(&group, &any),
        socket.leave_multicast_v4(&group, &any),
        socket.join_multicast_v4(&Ipv4Addr::LOCALHOST, &any),
        socket.join_multicast_v6(&group_v6, 0),
        socket.leave_multicast_v6(&group_v6, 0),
    ]
    .map(|result| format!("{:?}", result.map_err(|error| error.kind())))
    .into()
}

pub(crate) fn errors_are_the_same() -> Vec<String> {
    let (socket, _) = socket();
    let none: &[SocketAddr] = &[];
    [
        UdpSocket::bind(none).map(drop),
        UdpSocket::bind("192.0.2.1:0").map(drop),
        UdpSocket::bind("no port").map(drop),
        socket.connect(none),
        socket.send_to(b"x", none).map(drop),
        socket.send_to(b"x", "127.0.0.1").map(drop),
        socket.send(b"x").map(drop),
        socket.send_to(&[0; 70_000], "127.0.0.1:9").map(drop),
        socket.peer_addr().map(drop),
    ]
    .map(|result| result.unwrap_err().to_string())
    .into()
}

pub(crate) fn many_datagrams_flow_through_a_slow_receiver() -> u64 {
    let (one, other) = pair();
    let receiving = thread::spawn(move || {
        let mut sum = 0;
        let mut buffer = [0; 512];
        for _ in 0..200 {
            other.recv(&mut buffer).unwrap();
            sum += u64::from(buffer[0]);
            // Acknowledges, so that the sender, who would not be told to wait, loses none.
            other.send(&buffer[..1]).unwrap();
        }
        sum
    });
    for number in 0..200 {
        one.send(&[number; 512]).unwrap();
        one.recv(&mut [0; 1]).unwrap();
    }
    receiving.join().unwrap()
}
