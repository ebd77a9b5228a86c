//! Fibers that are cancelled, or unwind, while they wait for a descriptor.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::Cancelled;
use abaca::net::{TcpListener, TcpStream};
use abaca::time::timeout;
use socket2::SockRef;

use super::kinds::{builders, on_each_runtime};
use super::{full, own_address};

/// Counts its drops: destructors ran.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn shutdown_unwinds_every_wait_for_a_descriptor() {
    for builder in builders() {
        let runtime = builder.build().unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let (mut client, server) = pair();
        let (write_peer, writer) = pair();
        let (_full, full_address, _queued) = full();
        let listener = TcpListener::bind(own_address()).unwrap();
        let address = listener.local_addr().unwrap();
        let (pipe_reader, _pipe_writer) = std::io::pipe().unwrap();
        let mut fibers = Vec::new();
        let mut spawn = |body: Box<dyn FnOnce() + Send>| {
            let counted = Counted(Arc::clone(&dropped));
            fibers.push(runtime.spawn(move || {
                let _counted = counted;
                body();
            }));
        };
        spawn(Box::new(move || drop((&server).read(&mut [0]))));
        spawn(Box::new(move || drop((&writer).write_all(&vec![0; 64 << 20]))));
        spawn(Box::new(move || drop(listener.accept())));
        spawn(Box::new(move || drop(TcpStream::connect(full_address))));
        spawn(Box::new(move || drop(abaca::io::Pollable::new(pipe_reader).unwrap().read(&mut [0]))));
        // They wait, or are about to.
        runtime.run(abaca::yield_now);
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        for fiber in fibers {
            assert!(fiber.join().unwrap_err().is::<Cancelled>());
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 5);
        // Their descriptors are closed: the peer sees the end, and the port is free.
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(write_peer);
        TcpListener::bind(address).unwrap();
    }
}

/// Says goodbye when it is dropped.
struct Polite(TcpStream);

impl Drop for Polite {
    fn drop(&mut self) {
        // The answer takes a wait, which must not park: the neighbours would see `panicking`.
        self.0.write_all(b"bye").unwrap();
        self.0.read_exact(&mut [0; 3]).unwrap();
    }
}

#[test]
fn a_destructor_may_talk_while_its_fiber_unwinds() {
    on_each_runtime(|| {
        let (client, mut server) = pair();
        // A thread answers, since on one worker the unwinding fiber has the only one.
        let answering = std::thread::spawn(move || {
            let mut text = [0; 3];
            server.read_exact(&mut text).unwrap();
            server.write_all(b"bye").unwrap();
            text
        });
        let unwinding = abaca::spawn(move || {
            let _polite = Polite(client);
            std::panic::resume_unwind(Box::new("unwound"));
        });
        assert_eq!(*unwinding.join().unwrap_err().downcast::<&str>().unwrap(), "unwound");
        assert_eq!(&answering.join().unwrap(), b"bye");
        assert!(!std::thread::panicking());
    });
}

/// A read that was short parks without another call. What has come since, of which the poller had no turn to tell, is read
/// all the same.
#[test]
fn a_read_that_would_not_wait_does_not_wait() {
    on_each_runtime(|| {
        let (ours, mut theirs) = super::pair();
        theirs.write_all(b"first").unwrap();
        let mut buffer = [0; 64];
        while (&ours).read(&mut buffer).unwrap() != 5 {}
        // Registers the descriptor, and leaves its reads drained.
        assert!(timeout(Duration::from_millis(1), || (&ours).read(&mut buffer)).is_err());
        theirs.write_all(b"again").unwrap();
        assert_eq!((&ours).read(&mut buffer).unwrap(), 5);
        theirs.write_all(b"there").unwrap();
        let socket = SockRef::from(&ours);
        while socket.peek(&mut [std::mem::MaybeUninit::uninit()]).is_err() {
            std::thread::yield_now();
        }
        // The time is up before it begins; it would not have to wait.
        assert_eq!(timeout(Duration::ZERO, || (&ours).read(&mut buffer).unwrap()), Ok(5));
    });
}
