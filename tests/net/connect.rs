//! Connecting, and names.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use abaca::net::{ListenOptions, TcpListener, TcpStream, ToSocketAddrs};

/// A port on which nobody listens.
fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[abaca::test]
fn a_refused_connection_is_an_error_as_in_std() {
    let address = closed_port();
    let expected = std::net::TcpStream::connect(address).unwrap_err().kind();
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), expected);
    assert_eq!(TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap_err().kind(), expected);
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
    let addresses = [closed_port(), listener.local_addr().unwrap()];
    let stream = TcpStream::connect(&addresses[..]).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    let none: &[SocketAddr] = &[];
    assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[abaca::test]
fn names_are_resolved_without_holding_up_the_worker() {
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
