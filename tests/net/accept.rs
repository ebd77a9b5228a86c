//! Listeners: sharing, spreading, limits.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use abaca::net::{ListenOptions, TcpListener, TcpStream};
use abaca_tests::{kernel_thread, with_shared_storage};

#[abaca::test]
fn several_fibers_accept_on_one_listener() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let acceptors: Vec<_> = (0..8)
        .map(|_| {
            let listener = Arc::clone(&listener);
            abaca::spawn(move || listener.incoming().take(10).filter(|stream| stream.is_ok()).count())
        })
        .collect();
    let clients: Vec<_> =
        (0..80).map(|_| abaca::spawn(move || TcpStream::connect(address).unwrap())).collect();
    let accepted: usize = acceptors.into_iter().map(|acceptor| acceptor.join().unwrap()).sum();
    assert_eq!(accepted, 80);
    for client in clients {
        client.join().unwrap();
    }
}

/// Accepts 64 connections on four workers; returns whether each of those has got as many.
fn distributes_evenly() -> bool {
    let runtime = with_shared_storage().workers(4).build().unwrap();
    let counts = runtime.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients = std::thread::spawn(move || {
            let connect = |_| std::net::TcpStream::connect(address).unwrap();
            let mut clients: Vec<_> = (0..64).map(connect).collect();
            for client in &mut clients {
                client.write_all(&[1]).unwrap();
            }
            clients.iter_mut().for_each(|client| client.read_exact(&mut [0]).unwrap());
        });
        // Nobody ends before all are placed: what ends makes room, and the counts would not be even.
        let (gate, opens) = abaca::channel::bounded::<()>(0);
        let handlers: Vec<_> = listener
            .incoming()
            .take(64)
            .map(|stream| {
                let (mut stream, opens) = (stream.unwrap(), opens.clone());
                abaca::spawn(move || {
                    assert!(opens.recv().is_err(), "the gate opens when its sender is dropped");
                    let home = kernel_thread();
                    stream.read_exact(&mut [0]).unwrap();
                    (stream, home)
                })
            })
            .collect();
        drop(gate);
        let mut counts = HashMap::new();
        for handler in handlers {
            let (mut stream, home) = handler.join().unwrap();
            *counts.entry(home).or_insert(0) += 1;
            stream.write_all(&[1]).unwrap();
        }
        clients.join().unwrap();
        counts
    });
    counts.len() == 4 && counts.values().all(|&count| count == 16)
}

#[test]
fn fibers_of_an_accept_loop_are_distributed_over_the_workers() {
    // On a busy machine a worker may stand still, and what waits there is handed on.
    assert!((0..100).any(|_| distributes_evenly()));
}

#[abaca::test]
fn incoming_and_into_incoming_accept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = abaca::spawn(move || [(); 2].map(|()| TcpStream::connect(address).unwrap()));
    listener.incoming().next().unwrap().unwrap();
    assert!(listener.into_incoming().next().unwrap().is_ok());
    client.join().unwrap();
}

#[abaca::test]
fn the_options_are_set() {
    let listener = ListenOptions::new().backlog(1).reuse_port(true).bind("127.0.0.1:0").unwrap();
    assert!(ListenOptions::new().reuse_port(true).bind(listener.local_addr().unwrap()).is_ok());
    assert!(TcpListener::bind(listener.local_addr().unwrap()).is_err());
    listener.set_ttl(42).unwrap();
    assert_eq!(listener.ttl().unwrap(), 42);
    assert!(listener.take_error().unwrap().is_none());
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
