//! Chaos: what servers and clients do while the network between them cuts, stalls, resets, delays, loses, and slices; and
//! whether slow peers starve others. `ABACA_SEED` repeats a run's plans.

mod exchange;
mod lossy;
mod proxy;
mod slow;

use std::sync::Arc;
use std::time::Duration;

use abaca::Runtime;
use abaca::net::{TcpStream, UnixStream, unix};
use abaca_tests::Choices;

use exchange::Kind;
use proxy::Proxy;

const LONG: Duration = Duration::from_secs(3600);

/// Clients on fibers converse with a server on fibers of the same runtime, a connection after the other.
fn conversations(kind: Kind, workers: usize, clients: u64, connections: usize) {
    let seed = Choices::seed();
    Runtime::builder().workers(workers).build().unwrap().run(|| {
        let (server, address) = exchange::serve(kind);
        let proxy = Arc::new(Proxy::start(address));
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let address = proxy.address();
                abaca::spawn(move || {
                    let mut choices = Choices::new(seed, client);
                    (0..connections).for_each(|_| exchange::converse(&address, &mut choices));
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        abaca::blocking::run(|| drop(proxy));
        assert_eq!(server.drain(LONG), 0, "no handler is left behind");
    });
}

#[test]
fn tcp_connections_survive_what_the_network_does() {
    conversations(Kind::Tcp, 1, 8, 20);
    conversations(Kind::Tcp, 4, 16, 20);
}

#[test]
fn unix_connections_survive_what_is_between_them() {
    conversations(Kind::Unix, 1, 8, 20);
    conversations(Kind::Unix, 4, 16, 20);
}

#[test]
fn datagrams_arrive_in_the_end_whatever_is_lost() {
    let seed = Choices::seed();
    for workers in [1, 4] {
        Runtime::builder().workers(workers).build().unwrap().run(|| {
            let pairs: Vec<_> = (0..4)
                .map(|pair| {
                    abaca::spawn(move || {
                        exchange::udp(100, seed ^ pair);
                        exchange::unix_datagrams(100, seed ^ pair);
                    })
                })
                .collect();
            pairs.into_iter().for_each(|pair| pair.join().unwrap());
        });
    }
}

/// Nobody listens where they connect to, again and again, beside others who are served.
#[test]
fn refused_connections_harm_nobody() {
    Runtime::builder().workers(2).build().unwrap().run(|| {
        // Bound, and so nobody else's, but not listening.
        let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        closed.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        let refusing = closed.local_addr().unwrap().as_socket().unwrap();
        let silent =
            std::os::unix::net::UnixDatagram::bind_addr(&unix::SocketAddr::from_pathname("").unwrap());
        let no_stream = silent.as_ref().unwrap().local_addr().unwrap();
        let (server, address) = exchange::serve(Kind::Tcp);
        let proxy = Proxy::start(address);
        abaca::scope(|scope| {
            for client in 0..8 {
                let (address, no_stream) = (proxy.address(), &no_stream);
                scope.spawn(move || {
                    let mut choices = Choices::new(7, client);
                    for _ in 0..50 {
                        assert!(TcpStream::connect(refusing).is_err());
                        assert!(UnixStream::connect_addr(no_stream).is_err());
                    }
                    (0..5).for_each(|_| exchange::converse(&address, &mut choices));
                });
            }
        });
        abaca::blocking::run(|| drop(proxy));
        assert_eq!(server.drain(LONG), 0);
    });
}
