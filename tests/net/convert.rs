//! From and into the std types: modes and timeouts.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream};
use socket2::SockRef;

use super::kinds::on_each_runtime;

fn std_pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn a_stream_goes_from_std_and_back_with_its_timeouts() {
    on_each_runtime(|| {
        let (std_client, mut std_server) = std_pair();
        std_client.set_read_timeout(Some(Duration::from_millis(4))).unwrap();
        let mut client = TcpStream::from(std_client);
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.set_read_timeout(Some(Duration::from_secs(7))).unwrap();
        std_server.write_all(b"ab").unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 1);
        let mut back = std::net::TcpStream::from(client);
        assert_eq!(back.read_timeout().unwrap(), Some(Duration::from_secs(7)));
        assert!(!SockRef::from(&back).nonblocking().unwrap());
        assert_eq!(back.read(&mut [0; 9]).unwrap(), 1);
    });
}

#[test]
fn a_nonblocking_std_stream_blocks_its_fiber_only() {
    on_each_runtime(|| {
        let (std_client, std_server) = std_pair();
        std_client.set_nonblocking(true).unwrap();
        let mut client = TcpStream::from(std_client);
        let server = TcpStream::from(std_server);
        let answering = abaca::spawn(move || {
            abaca::yield_now();
            (&server).write_all(b"x").unwrap();
        });
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 1);
        answering.join().unwrap();
    });
}

/// The mode belongs to the open file, which both share: on one worker a read that blocked the thread would never
/// see what its neighbour writes.
#[test]
fn a_clone_in_stds_hands_does_not_make_a_stream_block_its_thread() {
    on_each_runtime(|| {
        let (std_client, std_server) = std_pair();
        let (mut client, server) = (TcpStream::from(std_client), TcpStream::from(std_server));
        let twin = std::net::TcpStream::from(client.try_clone().unwrap());
        twin.set_nonblocking(false).unwrap();
        let writing = abaca::spawn(move || {
            abaca::yield_now();
            (&server).write_all(b"x").unwrap();
        });
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 1);
        writing.join().unwrap();
    });
}

#[test]
fn a_listener_goes_from_std_and_back() {
    on_each_runtime(|| {
        let listener = TcpListener::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let connecting = abaca::spawn(move || TcpStream::connect(address).unwrap());
        listener.accept().unwrap();
        connecting.join().unwrap();
        let back = std::net::TcpListener::from(listener);
        assert!(!SockRef::from(&back).nonblocking().unwrap());
        let _client = std::net::TcpStream::connect(address).unwrap();
        back.accept().unwrap();
    });
}
