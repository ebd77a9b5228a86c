//! The proxy: both directions, its limit, its impatience, its end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::{Server, expect, expect_echo, read_all, send};

#[test]
fn it_passes_both_directions_and_their_ends_on() {
    let upstream = Server::start("echo", &["--connections", "2"]);
    let mut proxy = Server::start("proxy", &[&upstream.address.to_string()]);
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let patient = proxy.connect();
    expect_echo(&patient, "through the proxy");
    let stream = proxy.connect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&stream, &megabyte);
            stream.shutdown(Shutdown::Write).expect("a half-close");
        });
        assert!(read_all(&stream) == megabyte);
    });
    assert!(proxy.line().contains(": 1000000 bytes there, 1000000 bytes back"));
    // No more connections, but those that are open go on.
    proxy.enter();
    while TcpStream::connect(proxy.address).is_ok() {}
    expect_echo(&patient, "still");
    patient.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(read_all(&patient), b"");
    assert!(proxy.ends_well().contains("0 connections were cut off"));
    upstream.ends_well();
}

#[test]
fn it_limits_its_connections() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("an address").to_string();
    let mut proxy = Server::start("proxy", &[&address, "--connections", "1"]);
    let (first, second) = (proxy.connect(), proxy.connect());
    let (server, _) = upstream.accept().expect("the proxy connects");
    send(&first, "question");
    expect(&server, "question");
    upstream.set_nonblocking(true).expect("an open socket");
    assert!(upstream.accept().is_err(), "the second waits for the end of the first");
    upstream.set_nonblocking(false).expect("an open socket");
    drop((first, server));
    assert!(proxy.line().contains(": 8 bytes there, 0 bytes back"));
    let (talkative, _) = upstream.accept().expect("the proxy connects");
    send(&talkative, "greeting");
    drop(talkative);
    assert_eq!(read_all(&second), b"greeting");
    drop(second);
    assert!(proxy.line().contains(": 0 bytes there, 8 bytes back"));
    proxy.enter();
    assert!(proxy.ends_well().contains("0 connections were cut off"));
}

#[test]
fn it_closes_connections_on_which_nobody_says_anything() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("an address").to_string();
    let mut proxy = Server::start("proxy", &[&address, "--idle-timeout", "0.1"]);
    let client = proxy.connect();
    let (silent, _) = upstream.accept().expect("the proxy connects");
    assert_eq!((read_all(&client), read_all(&silent)), (vec![], vec![]));
    assert!(proxy.line().contains(": idle"));
    proxy.enter();
    proxy.ends_well();
}

#[test]
fn it_says_when_its_server_does_not_answer_and_cuts_off_who_stays() {
    // Of an address on which nobody else binds a port: it stays vacant.
    let vacant = TcpListener::bind("127.3.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let mut proxy = Server::start("proxy", &[&vacant.to_string()]);
    assert_eq!(read_all(&proxy.connect()), b"");
    assert!(proxy.line().contains("refused"));
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("an address").to_string();
    let mut proxy = Server::start("proxy", &[&address, "--idle-timeout", "60"]);
    let client = proxy.connect();
    let (server, _) = upstream.accept().expect("the proxy connects");
    let talking = std::thread::spawn(move || {
        // Never silent for long, until it is cut off.
        while (&server).write_all(b"chatter").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    expect(&client, "chatter");
    proxy.enter();
    let reading =
        std::thread::spawn(move || while (&client).read(&mut [0; 64]).is_ok_and(|length| length > 0) {});
    assert!(proxy.ends_well().contains("1 connections were cut off"));
    talking.join().expect("an error ends it");
    reading.join().expect("the end ends it");
}
