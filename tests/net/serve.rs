//! `serve`: a fiber per connection, limits, errors of accept, and the graceful end.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::channel;
use abaca::net::{Listener, ServeOptions, TcpListener, TcpStream, UnixListener, UnixStream, unix};
use abaca::time::timeout;

use super::kinds::on_each_runtime;

const LONG: Duration = Duration::from_secs(3600);

fn echo(mut stream: TcpStream) {
    let mut reader = stream.try_clone().unwrap();
    let _ = io::copy(&mut reader, &mut stream);
}

pub(super) fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind(super::own_address()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn every_connection_is_served_and_a_drain_waits_for_them() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let peers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&peers);
        let server = listener.serve(move |stream, peer| {
            assert_eq!(stream.peer_addr().unwrap(), peer);
            echo(stream);
            counted.fetch_add(1, SeqCst);
        });
        let clients: Vec<_> = (0..20_u8)
            .map(|number| {
                abaca::spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(&[number; 100]).unwrap();
                    let mut answer = [0; 100];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, [number; 100]);
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(server.drain(LONG), 0);
        assert_eq!(peers.load(SeqCst), 20);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn unix_connections_are_served_too() {
    on_each_runtime(|| {
        let listener = UnixListener::bind_addr(&unix::SocketAddr::from_pathname("").unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = listener.serve(|mut stream, peer| {
            assert!(peer.is_unnamed());
            stream.write_all(b"served").unwrap();
        });
        let mut text = String::new();
        UnixStream::connect_addr(&address).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "served");
        assert_eq!(server.drain(LONG), 0);
    });
}

#[test]
fn no_more_than_the_limit_are_served_at_once() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&open), Arc::clone(&most));
        let server = ServeOptions::new().max_connections(3).serve(listener, move |stream, _| {
            counters.1.fetch_max(counters.0.fetch_add(1, SeqCst) + 1, SeqCst);
            echo(stream);
            counters.0.fetch_sub(1, SeqCst);
        });
        let mut clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
        for client in &mut clients {
            client.write_all(b"!").unwrap();
        }
        // The first three are all being served before one of them goes; the others are once those before them have gone.
        for client in &mut clients[..3] {
            client.read_exact(&mut [0]).unwrap();
        }
        let others = clients.split_off(3);
        drop(clients);
        for mut client in others {
            client.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(server.drain(LONG), 0);
        assert_eq!((open.load(SeqCst), most.load(SeqCst)), (0, 3));
    });
}

#[test]
#[should_panic(expected = "serves none")]
fn a_limit_of_zero_is_refused() {
    let _ = ServeOptions::new().max_connections(0);
}

#[test]
fn a_stop_closes_the_listener_and_leaves_connections_open() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let server = listener.serve(|stream, _| echo(stream));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"1").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let stop = server.stop_handle();
        let stopping = abaca::spawn(move || stop.stop());
        server.stopped().unwrap();
        server.stopped().unwrap();
        stopping.join().unwrap();
        assert_eq!(server.connections(), 1);
        TcpListener::bind(address).unwrap();
        client.write_all(b"2").unwrap();
        client.read_exact(&mut [0]).unwrap();
        drop(client);
        assert_eq!(server.drain(LONG), 0);
    });
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_drain_cancels_handlers_that_do_not_end() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let drops = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&drops);
        let server = listener.serve(move |mut stream, _| {
            let _counted = Counted(Arc::clone(&counted));
            stream.write_all(b"hello").unwrap();
            // Until the client goes.
            let _ = stream.read(&mut [0]);
        });
        let mut clients = [(); 4].map(|()| TcpStream::connect(address).unwrap());
        clients.iter_mut().for_each(|client| client.read_exact(&mut [0; 5]).unwrap());
        assert_eq!(server.drain(Duration::ZERO), 4);
        assert_eq!(drops.load(SeqCst), 4);
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn a_token_stops_the_server_and_its_handlers_see_it() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let token = CancellationToken::new();
        let seen = token.clone();
        let server = ServeOptions::new().stop_on(&token).serve(listener, move |mut stream, _| {
            stream.write_all(b"1").unwrap();
            seen.cancelled();
            stream.write_all(b"bye").unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.read_exact(&mut [0]).unwrap();
        token.cancel();
        server.stopped().unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bye");
        assert_eq!(server.drain(LONG), 0);
    });
}

#[test]
fn a_stop_takes_effect_while_the_server_is_full() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let server = ServeOptions::new().max_connections(1).serve(listener, |stream, _| echo(stream));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"1").unwrap();
        client.read_exact(&mut [0]).unwrap();
        server.stop();
        server.stopped().unwrap();
        assert_eq!(server.drain(Duration::ZERO), 1);
    });
}

#[test]
fn a_handler_that_panics_ends_its_own_connection_only() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let server = listener.serve(|mut stream, _| {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            if byte == *b"!" {
                std::panic::resume_unwind(Box::new("a handler's panic"));
            }
            stream.write_all(&byte).unwrap();
        });
        for question in [b"!", b"?"] {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(question).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, if question == b"!" { vec![] } else { question.to_vec() });
        }
        assert_eq!(server.drain(LONG), 0);
    });
}

/// Gives these results, one after the other, and then waits for ever.
struct Scripted(channel::Receiver<io::Result<u8>>);

impl Listener for Scripted {
    type Stream = u8;
    type Addr = ();

    fn accept(&self) -> io::Result<(u8, ())> {
        self.0
            .recv()
            .unwrap_or_else(|_| {
                loop {
                    abaca::park()
                }
            })
            .map(|number| (number, ()))
    }
}

#[test]
fn only_an_error_of_the_listener_ends_the_server() {
    on_each_runtime(|| {
        let (script, results) = channel::unbounded();
        let (served, numbers) = channel::unbounded();
        let server =
            ServeOptions::new().serve(Scripted(results), move |number, ()| served.send(number).unwrap());
        let os = |code| Err(io::Error::from_raw_os_error(code));
        // ECONNABORTED, EMFILE, ENFILE, and one that is not the system's.
        for result in [Ok(1), os(103), Ok(2), os(24), os(23), Ok(3), Err(io::Error::other("mine")), Ok(4)] {
            script.send(result).unwrap();
        }
        let mut numbers: Vec<u8> = (0..4).map(|_| numbers.recv().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4]);
        // ENOTSOCK.
        script.send(os(88)).unwrap();
        assert_eq!(server.stopped().unwrap_err().raw_os_error(), Some(88));
        assert!(server.stopped().is_ok(), "it is told once");
        assert_eq!(server.drain(LONG), 0);
    });
}

#[test]
fn waiting_for_the_servers_end_can_be_cancelled() {
    on_each_runtime(|| {
        let (listener, address) = listener();
        let server = listener.serve(|mut stream, _| {
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(b"x").unwrap();
            // In the middle of something.
            loop {
                abaca::park();
            }
        });
        assert!(timeout(Duration::from_millis(1), || server.stopped()).is_err());
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        assert!(timeout(Duration::from_millis(1), || server.drain(LONG)).is_err());
        // The drain has told the accept loop to stop; its time may have been up before that had done so.
        loop {
            match TcpStream::connect(address).map_err(|error| error.kind()) {
                Err(ErrorKind::ConnectionRefused) => break,
                // One that was in line when the listener was closed.
                Ok(_) | Err(ErrorKind::ConnectionReset) => (),
                Err(other) => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_shutdown_ends_the_server_and_its_handlers() {
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drops);
    let (address, _client) = runtime.run(move || {
        let (listener, address) = listener();
        listener.serve(move |mut stream, _| {
            let _counted = Counted(Arc::clone(&counted));
            stream.write_all(b"x").unwrap();
            let _ = stream.read(&mut [0]);
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.read_exact(&mut [0]).unwrap();
        (address, client)
    });
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(drops.load(SeqCst), 1);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

/// Stops its server with the only connection.
struct Last(channel::Receiver<()>, CancellationToken);

impl Listener for Last {
    type Stream = ();
    type Addr = ();

    fn accept(&self) -> io::Result<((), ())> {
        self.0.recv().unwrap();
        self.1.cancel();
        Ok(((), ()))
    }
}

/// Others look at the table of connections, so that the accept loop, which is to stop, has to wait for it.
#[test]
fn a_connection_that_was_accepted_is_served_and_known_whenever_the_stop_comes() {
    const ROUNDS: usize = 500;
    abaca::Runtime::builder().workers(4).build().unwrap().run(|| {
        for _ in 0..ROUNDS {
            let (token, (go, connection)) = (CancellationToken::new(), channel::bounded(1));
            let listener = Last(connection, token.clone());
            let server = ServeOptions::new().stop_on(&token).serve(listener, |(), ()| {
                loop {
                    abaca::park()
                }
            });
            let has_stopped = AtomicBool::new(false);
            abaca::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while !has_stopped.load(SeqCst) {
                            (0..64).for_each(|_| assert!(server.connections() <= 1));
                            abaca::yield_now();
                        }
                    });
                }
                go.send(()).unwrap();
                server.stopped().unwrap();
                has_stopped.store(true, SeqCst);
            });
            assert_eq!(server.drain(Duration::ZERO), 1);
        }
    });
}

/// A handler that comes to its end while it is cancelled leaves the table all the same.
#[test]
fn a_drain_ends_whenever_handlers_do() {
    abaca::Runtime::builder().workers(4).build().unwrap().run(|| {
        for _ in 0..500 {
            let (script, results) = channel::unbounded();
            let (gate, opens) = channel::bounded::<()>(0);
            let (told, begun) = channel::unbounded();
            let server = ServeOptions::new().serve(Scripted(results), move |_, ()| {
                told.send(()).unwrap();
                let _ = opens.recv();
            });
            (0..16).for_each(|number| script.send(Ok(number)).unwrap());
            (0..16).for_each(|_| begun.recv().unwrap());
            drop(gate);
            let left = timeout(Duration::from_secs(60), || server.drain(Duration::ZERO));
            assert!(left.expect("a handler that has ended is still waited for") <= 16);
        }
    });
}
