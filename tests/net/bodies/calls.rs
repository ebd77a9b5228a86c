//! What a program does with sockets, and what it observes: ends, errors, timeouts, options. `super` decides whose
//! sockets they are.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Result, Write};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::net::{Shutdown, TcpListener, TcpStream};
use super::thread;

/// Two ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

/// An error's kind, and the kernel's number for it.
fn number<T>(result: Result<T>) -> (ErrorKind, Option<i32>) {
    let error = result.err().expect("an error");
    (error.kind(), error.raw_os_error())
}

/// A broken connection shows as one or the other, depending on who is faster.
fn is_broken<T>(result: Result<T>) -> bool {
    matches!(kind(result), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Dropping the stream resets the connection.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// A bound socket that does not listen: its port refuses, and nobody else gets it.
fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

pub(crate) fn a_half_closed_stream_still_carries_the_other_half() -> (String, String) {
    let (mut client, mut server) = pair();
    let answering = thread::spawn(move || {
        let mut question = String::new();
        server.read_to_string(&mut question).unwrap();
        server.write_all(question.to_uppercase().as_bytes()).unwrap();
        question
    });
    client.write_all(b"anyone").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    (answering.join().unwrap(), answer)
}

pub(crate) fn a_reset_ends_reads_and_writes() -> (ErrorKind, usize, ErrorKind) {
    let (mut client, server) = pair();
    let reading = thread::spawn(move || {
        let mut buffer = [0; 8];
        let first = kind(client.read(&mut buffer));
        // The error was taken; what is left of the stream is its end.
        (first, client.read(&mut buffer).unwrap(), kind(client.write(b"x")))
    });
    reset(server);
    reading.join().unwrap()
}

pub(crate) fn a_reset_ends_a_write_that_waits() -> bool {
    let (mut client, mut server) = pair();
    let writing = thread::spawn(move || is_broken(client.write_all(&vec![1; 64 << 20])));
    server.read_exact(&mut [0; 1000]).unwrap();
    reset(server);
    writing.join().unwrap()
}

pub(crate) fn a_write_to_a_closed_peer_fails() -> bool {
    let (mut client, server) = pair();
    drop(server);
    loop {
        let result = client.write(b"to nobody");
        if result.is_err() {
            return is_broken(result);
        }
    }
}

pub(crate) fn a_peek_takes_nothing() -> Vec<Vec<u8>> {
    let (mut client, mut server) = pair();
    let peeking = thread::spawn(move || {
        let mut seen = Vec::new();
        let mut buffer = [0; 16];
        // Larger than what is there, and smaller.
        for room in [16, 2, 16] {
            let count = server.peek(&mut buffer[..room]).unwrap();
            seen.push(buffer[..count].to_vec());
        }
        let count = server.read(&mut buffer).unwrap();
        seen.push(buffer[..count].to_vec());
        server.write_all(b"k").unwrap();
        // After a short read: the next peek waits, and sees the end.
        let count = server.peek(&mut buffer).unwrap();
        seen.push(buffer[..count].to_vec());
        seen
    });
    client.write_all(b"four").unwrap();
    client.read_exact(&mut [0]).unwrap();
    drop(client);
    peeking.join().unwrap()
}

pub(crate) fn an_empty_buffer_moves_nothing() -> (usize, usize, u8) {
    let (mut client, mut server) = pair();
    let written = client.write(b"").unwrap();
    client.write_all(b"z").unwrap();
    let mut byte = [0];
    // Wait for the byte: a read of nothing waits for it too.
    server.peek(&mut byte).unwrap();
    let read = server.read(&mut []).unwrap();
    server.read_exact(&mut byte).unwrap();
    (written, read, byte[0])
}

/// A read of nothing ends with its time, and is no error; with several buffers, all of them empty, it does not even wait.
pub(crate) fn calls_that_move_nothing_end() -> Vec<std::result::Result<usize, ErrorKind>> {
    let (mut client, mut server) = pair();
    server.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    let mut seen = vec![
        server.read(&mut []),
        server.peek(&mut []),
        server.read_vectored(&mut []),
        server.read_vectored(&mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])]),
        client.write(&[]),
        client.write_vectored(&[]),
        client.write_vectored(&[IoSlice::new(&[])]),
    ];
    server.set_nonblocking(true).unwrap();
    seen.extend([server.read(&mut []), server.peek(&mut []), server.read_vectored(&mut [])]);
    reset(client);
    while server.take_error().unwrap().is_none() {
        thread::yield_now();
    }
    seen.push(server.write_vectored(&[]));
    seen.into_iter().map(|result| result.map_err(|error| error.kind())).collect()
}

pub(crate) fn a_read_times_out_and_can_go_on() -> ((ErrorKind, Option<i32>), ErrorKind, u8) {
    let (mut client, mut server) = pair();
    server.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    let mut buffer = [0; 4];
    let read = number(server.read(&mut buffer));
    let peeked = kind(server.peek(&mut buffer));
    server.set_read_timeout(None).unwrap();
    let reading = thread::spawn(move || {
        server.read_exact(&mut buffer[..1]).unwrap();
        buffer[0]
    });
    client.write_all(b"9").unwrap();
    (read, peeked, reading.join().unwrap())
}

pub(crate) fn a_write_times_out() -> (ErrorKind, Option<i32>) {
    let (mut client, _server) = pair();
    client.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
    let bytes = vec![0; 1 << 20];
    loop {
        match client.write(&bytes) {
            Ok(_) => {}
            result => return number(result),
        }
    }
}

pub(crate) fn a_timeout_of_zero_is_refused() -> Vec<ErrorKind> {
    let (client, _server) = pair();
    let zero = Some(Duration::ZERO);
    let address = client.peer_addr().unwrap();
    vec![
        kind(client.set_read_timeout(zero)),
        kind(client.set_write_timeout(zero)),
        kind(TcpStream::connect_timeout(&address, Duration::ZERO)),
    ]
}

pub(crate) fn a_clone_shares_the_timeouts() -> (Option<Duration>, Option<Duration>, ErrorKind) {
    let (client, _server) = pair();
    let mut clone = client.try_clone().unwrap();
    client.set_read_timeout(Some(Duration::from_millis(8))).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    (clone.read_timeout().unwrap(), clone.write_timeout().unwrap(), kind(clone.read(&mut [0])))
}

pub(crate) fn a_refused_connect_says_so() -> (ErrorKind, ErrorKind) {
    let (_socket, address) = bound();
    let timeout = Duration::from_secs(60);
    (kind(TcpStream::connect(address)), kind(TcpStream::connect_timeout(&address, timeout)))
}

pub(crate) fn a_connect_times_out_when_nobody_accepts() -> ErrorKind {
    let (socket, address) = bound();
    socket.listen(0).unwrap();
    let mut queued = Vec::new();
    // The queue takes one or two, and then the kernel drops what asks.
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(20)) {
            Ok(stream) => queued.push(stream),
            result => return kind(result),
        }
    }
}

pub(crate) fn addresses_that_do_not_resolve_are_errors() -> Vec<ErrorKind> {
    let none: &[SocketAddr] = &[];
    vec![
        kind(TcpStream::connect(none)),
        kind(TcpListener::bind(none)),
        kind(TcpStream::connect("no port")),
        kind(TcpStream::connect("127.0.0.1:port")),
        kind(TcpListener::bind("127.0.0.1:65536")),
        kind(TcpListener::bind("192.0.2.1:0")),
    ]
}

pub(crate) fn the_first_address_that_works_is_taken() -> bool {
    let (_socket, refuses) = bound();
    let listener = TcpListener::bind("localhost:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(&[refuses, address][..]).unwrap();
    let by_name = TcpStream::connect(("localhost", address.port())).unwrap();
    stream.peer_addr().unwrap() == address && by_name.peer_addr().unwrap() == address
}

pub(crate) fn a_shutdown_ends_a_read_that_waits() -> usize {
    let (client, _server) = pair();
    let mut clone = client.try_clone().unwrap();
    let reading = thread::spawn(move || clone.read(&mut [0]).unwrap());
    thread::yield_now();
    client.shutdown(Shutdown::Read).unwrap();
    reading.join().unwrap()
}

pub(crate) fn a_shutdown_ends_an_accept_that_waits() -> ErrorKind {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let clone = listener.try_clone().unwrap();
    let accepting = thread::spawn(move || kind(clone.accept()));
    thread::yield_now();
    SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
    accepting.join().unwrap()
}

pub(crate) fn nonblocking_calls_say_would_block() -> Vec<ErrorKind> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut seen = vec![kind(listener.accept())];
    let clone = listener.try_clone().unwrap();
    seen.push(kind(clone.accept()));
    clone.set_nonblocking(false).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    // Registered and drained, as far as the runtime knows, before the mode changes.
    client.write_all(b"1").unwrap();
    assert_eq!(server.read(&mut [0; 9]).unwrap(), 1);
    server.set_nonblocking(true).unwrap();
    seen.push(kind(server.read(&mut [0; 9])));
    seen.push(kind(server.peek(&mut [0; 9])));
    let mut clone = server.try_clone().unwrap();
    seen.push(kind(clone.read(&mut [0; 9])));
    let full = loop {
        let result = server.write(&[0; 100_000]);
        if result.is_err() {
            break kind(result);
        }
    };
    seen.push(full);
    server.set_nonblocking(false).unwrap();
    client.write_all(b"2").unwrap();
    assert_eq!(clone.read(&mut [0; 9]).unwrap(), 1);
    seen
}

pub(crate) fn options_are_kept() -> Vec<String> {
    let (client, _server) = pair();
    let listener = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_ttl(42).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    vec![
        format!("{:?}", client.nodelay()),
        format!("{:?}", client.ttl()),
        format!("{:?}", client.read_timeout()),
        format!("{:?}", client.write_timeout()),
        format!("{:?}", client.take_error()),
        format!("{:?}", listener.take_error()),
        format!("{:?}", listener.set_ttl(7)),
        format!("{:?}", listener.ttl()),
        format!("{:?}", SockRef::from(&listener).reuse_address()),
        format!("{:?}", SockRef::from(&client).nonblocking()),
    ]
}

pub(crate) fn debug_output_names_the_addresses() -> Vec<String> {
    let (client, server) = pair();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let texts = [format!("{client:?}"), format!("{server:?}"), format!("{listener:?}")];
    // Numbers of ports and descriptors differ from run to run.
    texts
        .map(|text| text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect())
        .into()
}
