//! Several fibers, and threads beside them, on one socket.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::net::unix::{UnixDatagram, UnixStream};
use abaca::net::{ListenOptions, Shutdown, TcpListener, TcpStream};
use abaca::{scope, spawn};
use socket2::SockRef;

use super::kinds::on_each_runtime;

/// Each fiber takes one connection and none after that. So if no fiber is woken for a connection, no later accept finds it: an
/// event must wake every fiber that could act on it.
#[test]
fn as_many_accepts_as_connections_all_end() {
    on_each_runtime(|| {
        for _ in 0..20 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let accepted = AtomicUsize::new(0);
            scope(|s| {
                for _ in 0..8 {
                    s.spawn(|| {
                        listener.accept().unwrap();
                        accepted.fetch_add(1, Ordering::Relaxed);
                    });
                }
                for _ in 0..8 {
                    s.spawn(|| TcpStream::connect(address).unwrap());
                }
            });
            assert_eq!(accepted.into_inner(), 8);
        }
    });
}

#[test]
fn as_many_reads_as_bytes_all_end() {
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        for round in 0..50_u8 {
            let sum = AtomicUsize::new(0);
            scope(|s| {
                for _ in 0..6 {
                    s.spawn(|| {
                        let mut byte = [0];
                        assert_eq!((&server).read(&mut byte).unwrap(), 1);
                        sum.fetch_add(byte[0].into(), Ordering::Relaxed);
                    });
                }
                client.write_all(&[round; 4]).unwrap();
                abaca::yield_now();
                client.write_all(&[round; 2]).unwrap();
            });
            assert_eq!(sum.into_inner(), usize::from(round) * 6);
        }
    });
}

#[test]
fn one_fiber_reads_while_another_writes_through_references() {
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        let echo = spawn(move || std::io::copy(&mut server.try_clone().unwrap(), &mut server).unwrap());
        let received = scope(|s| {
            s.spawn(|| {
                for number in 0..1000_u32 {
                    (&client).write_all(&number.to_le_bytes()).unwrap();
                }
            });
            let reading = s.spawn(|| {
                let mut four = [0; 4];
                (0..1000_u32).all(|number| {
                    (&client).read_exact(&mut four).unwrap();
                    u32::from_le_bytes(four) == number
                })
            });
            reading.join().unwrap()
        });
        assert!(received);
        drop(client);
        assert_eq!(echo.join().unwrap(), 4000);
    });
}

#[test]
fn a_thread_and_a_fiber_share_a_stream() {
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = abaca::sync::Arc::new(listener.accept().unwrap().0);
        let on_thread = abaca::sync::Arc::clone(&server);
        let thread = std::thread::spawn(move || {
            let mut question = [0; 8];
            (&*on_thread).read_exact(&mut question).unwrap();
            (&*on_thread).write_all(&question).unwrap();
        });
        client.write_all(b"question").unwrap();
        client.read_exact(&mut [0; 8]).unwrap();
        // The thread's calls have not confused the runtime about the stream.
        client.write_all(b"more").unwrap();
        let mut more = [0; 4];
        (&*server).read_exact(&mut more).unwrap();
        assert_eq!(&more, b"more");
        thread.join().unwrap();
    });
}

#[test]
fn a_reader_that_gave_up_leaves_the_data_to_the_next() {
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        server.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        scope(|s| {
            for _ in 0..5 {
                s.spawn(|| {
                    let error = (&server).read(&mut [0; 4]).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                });
            }
        });
        server.set_read_timeout(None).unwrap();
        scope(|s| {
            let reading = s.spawn(|| (&server).read(&mut [0; 4]).unwrap());
            client.write_all(b"late").unwrap();
            assert_eq!(reading.join().unwrap(), 4);
        });
    });
}

#[test]
fn listeners_on_one_port_share_the_connections() {
    on_each_runtime(|| {
        let options = ListenOptions::new().reuse_port(true).backlog(64);
        let first = options.bind("127.0.0.1:0").unwrap();
        let second = options.bind(first.local_addr().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let accepted = AtomicUsize::new(0);
        scope(|s| {
            for listener in [&first, &second] {
                let accepted = &accepted;
                s.spawn(move || {
                    while listener.accept().is_ok() {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..32 {
                // Its end comes when it was taken and dropped.
                assert_eq!(TcpStream::connect(address).unwrap().read(&mut [0]).unwrap(), 0);
            }
            for listener in [&first, &second] {
                SockRef::from(listener).shutdown(Shutdown::Both).unwrap();
            }
        });
        assert_eq!(accepted.into_inner(), 32);
    });
}

/// A writer waits for room that never comes, and whoever shuts down writes ends it, through the same socket or a clone. If the writer does not wait yet
/// by then, the outcome is the same.
#[test]
fn a_shutdown_ends_writes_that_wait_for_room() {
    on_each_runtime(|| {
        for how in [Shutdown::Write, Shutdown::Both] {
            for through_clone in [false, true] {
                let (ours, mut theirs) = UnixStream::pair().unwrap();
                let clone = ours.try_clone().unwrap();
                let (sender, receiver) = UnixDatagram::pair().unwrap();
                let sender_clone = sender.try_clone().unwrap();
                scope(|s| {
                    let writer = s.spawn(|| (&ours).write_all(&vec![0; 16 << 20]));
                    // More than one sender of datagrams has room for, whatever its peer's queue takes.
                    let sends = s.spawn(|| (0..).find_map(|_| sender.send(&[0; 60_000]).err()));
                    assert_eq!(theirs.read(&mut [0]).unwrap(), 1, "it has begun");
                    (0..100).for_each(|_| abaca::yield_now());
                    if through_clone { &clone } else { &ours }.shutdown(how).unwrap();
                    if through_clone { &sender_clone } else { &sender }.shutdown(how).unwrap();
                    // What waits for the peer's queue, the kernel does not wake either: it finds out when there is room.
                    let taken =
                        s.spawn(|| while receiver.recv(&mut [0; 60_000]).is_ok_and(|bytes| bytes > 0) {});
                    assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
                    assert_eq!(sends.join().unwrap().unwrap().kind(), ErrorKind::BrokenPipe);
                    receiver.shutdown(Shutdown::Both).unwrap();
                    taken.join().unwrap();
                });
            }
        }
    });
}
