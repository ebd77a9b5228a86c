//! Fibers that block in destructors while they unwind. To the standard library unwinding is a fact of the thread;
//! the fiber's neighbours must not suffer from that.

#![expect(
    unsafe_code,
    reason = "spawn_roaming is unsafe: these fibers hold nothing that is bound to a thread"
)]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use abaca::channel::{Receiver, bounded};
use abaca::net::{TcpListener, TcpStream};
use abaca::{Builder, JoinHandle};

/// Waits for a message when it is dropped.
struct Waits(Arc<AtomicBool>, Receiver<()>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
        self.1.recv().unwrap();
    }
}

/// A fiber in the middle of unwinding, until something is sent to `receiver`.
fn spawn_unwinding(receiver: Receiver<()>) -> JoinHandle<()> {
    let began = Arc::new(AtomicBool::new(false));
    let waits = Waits(Arc::clone(&began), receiver);
    let handle = abaca::spawn(move || {
        let _waits = waits;
        panic!("on purpose");
    });
    while !began.load(SeqCst) {
        abaca::yield_now();
    }
    handle
}

#[abaca::test(workers = 1)]
fn the_neighbours_of_an_unwinding_fiber_sleep_and_read_without_blocking_the_thread() {
    let (sender, receiver) = bounded(0);
    let unwinding = spawn_unwinding(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Each of these waits for the others: a blocked thread is a deadlock.
    let server = abaca::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&byte).unwrap();
    });
    let client = abaca::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        abaca::sleep(Duration::from_millis(1));
        stream.write_all(&[7]).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    });
    let sleeper = abaca::spawn(|| abaca::sleep(Duration::from_secs(1_000)));
    assert_eq!(client.join().unwrap(), 7);
    server.join().unwrap();
    assert!(!sleeper.is_finished());
    sender.send(()).unwrap();
    assert!(unwinding.join().is_err());
}

#[abaca::test(workers = 1)]
fn fibers_unwind_and_catch_while_others_are_suspended_in_the_middle_of_it() {
    let (senders, fibers): (Vec<_>, Vec<_>) = (0..10)
        .map(|_| {
            let (sender, receiver) = bounded(0);
            (sender, spawn_unwinding(receiver))
        })
        .unzip();
    // First in, first out: each ends while later ones are still suspended.
    for sender in senders {
        assert!(abaca::spawn(|| panic!("beside")).join().is_err());
        assert!(std::panic::catch_unwind(|| panic!("beside")).is_err());
        sender.send(()).unwrap();
    }
    for fiber in fibers {
        assert_eq!(fiber.join().unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    }
    assert!(!thread::panicking());
}

#[inline(never)]
fn thread_id() -> thread::ThreadId {
    thread::current().id()
}

#[test]
fn a_roaming_fiber_stays_where_it_is_while_it_unwinds() {
    /// Blocks in several ways when it is dropped, and counts how often that changed the thread.
    struct Blocks(Arc<AtomicUsize>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            let home = thread_id();
            for round in 0..20 {
                match round % 3 {
                    0 => abaca::yield_now(),
                    1 => abaca::park_timeout(Duration::from_micros(10)),
                    _ => abaca::spawn(|| ()).join().unwrap(),
                }
                self.0.fetch_add(usize::from(thread_id() != home), SeqCst);
            }
        }
    }
    let runtime = abaca::Runtime::builder().workers(4).build().unwrap();
    let moves = Arc::new(AtomicUsize::new(0));
    runtime.run(|| {
        let roaming = |_| {
            let blocks = Blocks(Arc::clone(&moves));
            let body = move || {
                let _blocks = blocks;
                abaca::yield_now();
                std::panic::resume_unwind(Box::new("on purpose"));
            };
            // SAFETY: it keeps only plain data across blocking calls, and reads thread ids in a function of its own.
            unsafe { Builder::new().spawn_roaming::<_, ()>(body) }.unwrap()
        };
        let handles: Vec<_> = (0..200).map(roaming).collect();
        handles.into_iter().for_each(|handle| assert!(handle.join().is_err()));
        // Every thread has left its panics behind.
        let calm: Vec<_> = (0..200).map(|_| abaca::spawn(|| assert!(!thread::panicking()))).collect();
        calm.into_iter().for_each(|handle| handle.join().unwrap());
    });
    assert_eq!(moves.load(SeqCst), 0);
}
