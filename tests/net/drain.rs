//! A drain ends connections that are idle at once, and cuts no request short.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use abaca::JoinHandle;
use abaca::channel;
use abaca::net::{Server, TcpListener, TcpStream, UnixListener, UnixStream, unix};

use super::kinds::on_each_runtime;

const LONG: Duration = Duration::from_secs(3600);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(super::own_address()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers each byte, one after the other.
fn answer<S: Read + Write>(mut stream: S) {
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        stream.write_all(&byte).unwrap();
    }
}

/// Starts a drain without end, and waits until it has begun.
fn begin_drain(server: Server, address: SocketAddr) -> JoinHandle<usize> {
    let draining = abaca::spawn(move || server.drain(LONG));
    while !TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {}
    // The last step before it waits is to end the idle connections.
    (0..20).for_each(|_| abaca::yield_now());
    draining
}

#[test]
fn connections_that_are_kept_alive_end_with_the_drain() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let server = listener.serve(|stream, _| answer(stream));
        let mut clients: Vec<_> = (0..20_u8)
            .map(|number| {
                let mut client = TcpStream::connect(address).unwrap();
                // Some have sent nothing yet.
                for _ in 0..number % 3 {
                    client.write_all(&[number]).unwrap();
                    client.read_exact(&mut [0]).unwrap();
                }
                client
            })
            .collect();
        assert_eq!(server.drain(LONG), 0);
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn unix_connections_and_clones_of_connections_end_as_well() {
    on_each_runtime(|| {
        let listener = UnixListener::bind_addr(&unix::SocketAddr::from_pathname("").unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = listener.serve(|mut stream, _| {
            let mut reader = stream.try_clone().unwrap();
            let _ = io::copy(&mut reader, &mut stream);
        });
        let mut client = UnixStream::connect_addr(&address).unwrap();
        client.write_all(b"12").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(server.drain(LONG), 0);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_request_that_has_begun_is_answered_and_the_connection_ends_then() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let (told, begun) = channel::unbounded();
        let (go, gate) = channel::unbounded::<()>();
        // Reads a question of two bytes, thinks, and answers in two parts.
        let server = listener.serve(move |mut stream, _| {
            let mut question = [0; 2];
            while let Ok(()) = stream.read_exact(&mut question[..1]) {
                told.send(()).unwrap();
                stream.read_exact(&mut question[1..]).expect("the rest is waited for");
                gate.recv().unwrap();
                stream.write_all(&question[..1]).unwrap();
                gate.recv().unwrap();
                stream.write_all(&question[1..]).unwrap();
            }
        });
        let mut half = TcpStream::connect(address).unwrap();
        half.write_all(b"1").unwrap();
        begun.recv().unwrap();
        let mut whole = TcpStream::connect(address).unwrap();
        // With a second one behind it, which has arrived before the end.
        whole.write_all(b"3456").unwrap();
        begun.recv().unwrap();
        let draining = begin_drain(server, address);
        half.write_all(b"2").unwrap();
        (0..6).for_each(|_| go.send(()).unwrap());
        let mut text = String::new();
        half.read_to_string(&mut text).unwrap();
        whole.read_to_string(&mut text).unwrap();
        assert_eq!(text, "123456");
        assert_eq!(draining.join().unwrap(), 0);
    });
}

/// Who knows in what it is in the middle of? It has the time that the drain gives.
#[test]
fn a_reader_beside_a_writer_is_left_alone() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let server = listener.serve(|mut stream, _| {
            let mut reader = stream.try_clone().unwrap();
            let reading = abaca::spawn(move || reader.read(&mut [0; 2]).unwrap());
            stream.write_all(b"news").unwrap();
            assert_eq!(reading.join().unwrap(), 1);
            stream.write_all(b"more").unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        let draining = begin_drain(server, address);
        assert!(!draining.is_finished());
        client.write_all(b"!").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!((&text[..], draining.join().unwrap()), ("more", 0));
    });
}

#[test]
fn whenever_idling_ends_a_handler_reads_the_end_once_it_is_idle() {
    on_each_runtime(|| {
        for round in 0..200 {
            let (listener, address) = listener();
            let mut client = TcpStream::connect(address).unwrap();
            let stream = listener.accept().unwrap().0;
            let handle = stream.idle_handle();
            let handler = abaca::spawn(move || answer(stream));
            let ending = abaca::spawn(move || {
                (0..round % 7).for_each(|_| abaca::yield_now());
                handle.end();
            });
            // A request may come too late; the answers come in order.
            let mut text = Vec::new();
            if client.write_all(b"abc").is_ok() {
                let _ = client.read_to_end(&mut text);
            }
            assert!(b"abc".starts_with(&text), "{text:?}");
            handler.join().unwrap();
            ending.join().unwrap();
        }
    });
}
