//! Where the fibers of connections run.

use std::io::Read;
use std::time::Duration;

use abaca::channel;
use abaca::net::TcpStream;
use abaca_tests::{kernel_thread, with_shared_storage};

use super::serve::listener;

/// Serves 64 connections on four workers; returns whether each of those has got as many.
fn distributes_evenly() -> bool {
    let runtime = with_shared_storage().workers(4).build().unwrap();
    let homes = runtime.run(|| {
        let (listener, address) = listener();
        let (told, homes) = channel::unbounded();
        // Nobody ends before all are placed: what ends makes room.
        let server = listener.serve(move |mut stream, _| {
            told.send(kernel_thread()).unwrap();
            let _ = stream.read(&mut [0]);
        });
        let clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let homes: Vec<_> = (0..64).map(|_| homes.recv().unwrap()).collect();
        drop(clients);
        assert_eq!(server.drain(Duration::from_secs(3600)), 0);
        homes
    });
    homes.iter().all(|home| homes.iter().filter(|other| *other == home).count() == 16)
}

#[test]
fn connections_are_distributed_over_the_workers() {
    // On a busy machine a worker may stand still, and what waits there is handed on.
    assert!((0..100).any(|_| distributes_evenly()));
}
