//! Sockets that outlive their runtime, or are used from another one.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use abaca::Runtime;
use abaca::net::{TcpListener, TcpStream};

use super::kinds::builders;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Both ends wait for each other, so both are registered with the runtime on which this runs.
fn converse(client: &TcpStream, server: &TcpStream) {
    abaca::scope(|s| {
        s.spawn(|| {
            for _ in 0..3 {
                let mut byte = [0];
                let mut server = server;
                server.read_exact(&mut byte).unwrap();
                server.write_all(&byte).unwrap();
            }
        });
        for number in 0..3 {
            let (mut byte, mut client) = ([0; 8], client);
            client.write_all(&[number]).unwrap();
            assert_eq!(client.read(&mut byte).unwrap(), 1);
            assert_eq!(byte[0], number);
        }
    });
}

#[test]
fn a_stream_outlives_one_runtime_after_another() {
    let (client, server) = pair();
    for builder in builders().chain(builders()) {
        builder.build().unwrap().run(|| converse(&client, &server));
        // And between them on this thread.
        (&client).write_all(b"thread").unwrap();
        let mut text = [0; 6];
        (&server).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"thread");
    }
}

#[test]
fn a_fiber_waits_on_through_the_end_of_the_runtime_that_polled() {
    for builder in builders() {
        let (client, server) = pair();
        let server = Arc::new(server);
        let first = builder.build().unwrap();
        first.run(|| converse(&client, &server));
        let second = Runtime::new().unwrap();
        let reading = {
            let server = Arc::clone(&server);
            second.spawn(move || {
                let mut text = [0; 5];
                (&*server).read_exact(&mut text).unwrap();
                text
            })
        };
        // Whether the fiber waits by now or not, the first runtime's end must not strand it.
        second.run(abaca::yield_now);
        first.shutdown(Duration::from_secs(60)).unwrap();
        (&client).write_all(b"after").unwrap();
        assert_eq!(&reading.join().unwrap(), b"after");
    }
}

#[test]
fn two_runtimes_wait_for_one_socket() {
    let (client, server) = pair();
    let (client, server) = (Arc::new(client), Arc::new(server));
    let first = Runtime::new().unwrap();
    first.run(|| converse(&client, &server));
    let second = Runtime::new().unwrap();
    let echo = {
        let server = Arc::clone(&server);
        second.spawn(move || std::io::copy(&mut &*server, &mut &*server).unwrap())
    };
    first.run(|| {
        for number in 0..200_u8 {
            let mut answer = [0; 16];
            (&*client).write_all(&[number; 16]).unwrap();
            (&*client).read_exact(&mut answer).unwrap();
            assert_eq!(answer, [number; 16]);
        }
    });
    client.shutdown(abaca::net::Shutdown::Write).unwrap();
    assert_eq!(echo.join().unwrap(), 3200);
}
