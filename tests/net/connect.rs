//! Connecting, and names.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use abaca::Cancelled;
use abaca::net::{ConnectOptions, ListenOptions, TcpListener, TcpStream, ToSocketAddrs};
use abaca::time::timeout;

use super::kinds::on_each_runtime;
use super::{full, refusing};

#[abaca::test]
fn a_refused_connection_is_an_error_as_in_std() {
    let (_socket, address) = refusing();
    let expected = std::net::TcpStream::connect(address).unwrap_err().kind();
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), expected);
    assert_eq!(TcpStream::connect_timeout(&address, Duration::from_secs(3600)).unwrap_err().kind(), expected);
}

#[abaca::test]
fn a_connect_that_nobody_answers_times_out() {
    // The kernel completes backlog + 1 connections and drops the packets of further ones.
    let listener = ListenOptions::new().backlog(0).bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    let error = loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            Ok(stream) => held.push(stream),
            Err(error) => break error,
        }
        assert!(held.len() < 1_000, "the backlog is never full");
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = TcpStream::connect_timeout(&address, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[abaca::test]
fn the_first_address_that_answers_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_socket, refuses) = refusing();
    let addresses = [refuses, listener.local_addr().unwrap()];
    let stream = TcpStream::connect(&addresses[..]).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    let none: &[SocketAddr] = &[];
    assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[abaca::test]
fn names_are_resolved_without_blocking_the_worker() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(TcpStream::connect(("localhost", port)).is_ok());
    assert!(TcpStream::connect(format!("localhost:{port}")).is_ok());
    assert!("no port here".to_socket_addrs().is_err());
    for text in ["127.0.0.1:1", "[::1]:2"] {
        let ours: Vec<_> = text.to_socket_addrs().unwrap().collect();
        let std: Vec<_> = std::net::ToSocketAddrs::to_socket_addrs(text).unwrap().collect();
        assert_eq!(ours, std);
    }
}

/// On one worker: the look-up cannot have begun before the caller waits for it.
#[test]
fn a_look_up_can_be_cancelled() {
    abaca::Runtime::builder().workers(1).build().unwrap().run(|| {
        assert!(timeout(Duration::ZERO, || "localhost:1".to_socket_addrs()).is_err());
        assert!(timeout(Duration::ZERO, || ("localhost", 1).to_socket_addrs()).is_err());
        // On a busy machine the answer may be there before the cancellation, and then the refusal of the connection.
        let is_cancelled = |_| {
            let looking = abaca::spawn(|| TcpStream::connect("localhost:1"));
            abaca::yield_now();
            looking.cancel();
            match looking.join() {
                Ok(connected) => {
                    assert!(connected.is_err(), "nobody listens there");
                    false
                }
                Err(payload) => payload.is::<Cancelled>(),
            }
        };
        assert!((0..1000).any(is_cancelled));
    });
}

fn happy(addresses: &[SocketAddr]) -> std::io::Result<SocketAddr> {
    TcpStream::connect_happy_eyeballs(addresses)?.peer_addr()
}

#[test]
fn a_dead_address_does_not_hold_up_a_living_one() {
    let (_listener, dead, _queued) = full();
    let (_socket, refuses) = refusing();
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let living = listener.local_addr().unwrap();
        assert_eq!(happy(&[dead, living]).unwrap(), living);
        assert_eq!(happy(&[refuses, living]).unwrap(), living);
        assert_eq!(happy(&[living, dead]).unwrap(), living);
        assert_eq!(happy(&[living]).unwrap(), living);
        // The kernel's usual stream: its calls block the fiber.
        let mut stream = TcpStream::connect_happy_eyeballs(&[dead, living][..]).unwrap();
        let server = std::iter::repeat_with(|| listener.accept().unwrap())
            .find(|(_, peer)| *peer == stream.local_addr().unwrap())
            .unwrap()
            .0;
        let writing = abaca::spawn(move || (&server).write_all(b"x").unwrap());
        stream.read_exact(&mut [0]).unwrap();
        writing.join().unwrap();
    });
}

#[test]
fn happy_eyeballs_work_on_a_plain_thread() {
    let (_listener, dead, _queued) = full();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let living = listener.local_addr().unwrap();
    assert_eq!(happy(&[dead, living]).unwrap(), living);
    assert!(TcpStream::connect_happy_eyeballs(("localhost", living.port())).is_ok());
}

#[test]
fn when_all_addresses_fail_the_last_error_is_returned() {
    let (_listener, dead, _queued) = full();
    let (_socket, refuses) = refusing();
    on_each_runtime(|| {
        assert_eq!(happy(&[refuses, refuses]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(happy(&[]).unwrap_err().kind(), ErrorKind::InvalidInput);
        // Nobody answers there, and the race can be given up.
        let result = timeout(Duration::from_millis(5), || happy(&[dead, dead]));
        assert!(result.is_err());
        let racing = abaca::spawn(move || happy(&[dead, dead]));
        abaca::yield_now();
        racing.cancel();
        assert!(racing.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_connection_is_made_with_the_options_that_were_set() {
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let from: SocketAddr = "127.0.0.3:0".parse().unwrap();
        let options = ConnectOptions::new()
            .local_address(from)
            .nodelay(true)
            .keepalive(Duration::from_millis(1))
            .send_buffer_bytes(32 << 10)
            .recv_buffer_bytes(16 << 10);
        let mut stream = options.connect(address).unwrap();
        let (mut accepted, peer) = listener.accept().unwrap();
        assert_eq!((peer, peer.ip()), (stream.local_addr().unwrap(), from.ip()));
        let set = socket2::SockRef::from(&stream);
        assert!(set.tcp_nodelay().unwrap() && set.keepalive().unwrap() && !set.nonblocking().unwrap());
        assert_eq!(set.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
        // The kernel counts its own overhead in.
        let buffers = (set.send_buffer_size().unwrap(), set.recv_buffer_size().unwrap());
        assert_eq!(buffers, (64 << 10, 32 << 10));
        stream.write_all(b"x").unwrap();
        accepted.read_exact(&mut [0]).unwrap();
        // The first address that can be had with these options.
        let (_socket, refuses) = refusing();
        let second = options.connect(&["[::1]:1".parse().unwrap(), refuses, address][..]).unwrap();
        assert_eq!(second.peer_addr().unwrap(), address);
        let taken = ConnectOptions::new().local_address(stream.local_addr().unwrap());
        assert_eq!(taken.connect(refuses).unwrap_err().kind(), ErrorKind::AddrInUse);
    });
}
