//! A request and its answer over TCP: sixty-four bytes there and back, clients and server on one worker. With one connection
//! the worker has nothing to do but wait for it, over and over; with many it finds several ready at a time, as under load.

use std::io::{Read, Write};

use abaca::net::{TcpListener, TcpStream};

const MESSAGE: [u8; 64] = *b"sixty-four bytes, which are as much as a small request or reply.";

/// So many round trips, spread over so many connections.
pub(crate) fn round_trips(connections: u64, times: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    abaca::scope(|scope| {
        for _ in 0..connections {
            // Connected first, so that the accept finds it.
            let client = TcpStream::connect(address).expect("a connection");
            let (server, _) = listener.accept().expect("a connection");
            scope.spawn(move || serve(server));
            scope.spawn(move || drive(client, times / connections));
        }
    });
}

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("an open socket");
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        stream.write_all(&buffer[..length]).expect("the client reads");
    }
}

fn drive(mut stream: TcpStream, times: u64) {
    stream.set_nodelay(true).expect("an open socket");
    let mut answer = [0; 64];
    for _ in 0..times {
        stream.write_all(&MESSAGE).expect("the server reads");
        stream.read_exact(&mut answer).expect("the server answers");
        assert_eq!(answer, MESSAGE);
    }
}
