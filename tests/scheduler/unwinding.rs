//! Fibers that block in destructors while they unwind. To the standard library, unwinding is a property of the thread;
//! the fiber's neighbours must not notice.

#![expect(
    unsafe_code,
    reason = "spawn_roaming_unchecked is unsafe: these fibers hold nothing that is bound to a thread"
)]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use abaca::channel::{Receiver, bounded};
use abaca::net::{TcpListener, TcpStream};
use abaca::sync::Mutex;
use abaca::{Builder, JoinHandle};

/// Waits for a message when it is dropped.
struct Waits(Arc<AtomicBool>, Receiver<()>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
        self.1.recv().unwrap();
    }
}

/// Spawns a fiber that is suspended while it unwinds, until `receiver` gets a message.
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
    // Each of these fibers waits for the others: a blocked thread is a deadlock.
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
            // SAFETY: the fiber keeps only plain data across blocking calls, and reads thread ids in a function of its own.
            unsafe { Builder::new().spawn_roaming_unchecked::<_, ()>(body) }.unwrap()
        };
        let handles: Vec<_> = (0..200).map(roaming).collect();
        handles.into_iter().for_each(|handle| assert!(handle.join().is_err()));
        // No thread counts a panic any more.
        let calm: Vec<_> = (0..200).map(|_| abaca::spawn(|| assert!(!thread::panicking()))).collect();
        calm.into_iter().for_each(|handle| handle.join().unwrap());
    });
    assert_eq!(moves.load(SeqCst), 0);
}

#[abaca::test(workers = 1)]
fn the_neighbours_of_an_unwinding_fiber_do_not_look_panicking() {
    let (sender, receiver) = bounded(0);
    let (lock, of_std) = (Arc::new(Mutex::new(0)), Arc::new(std::sync::Mutex::new(0)));
    let (go, gone) = bounded::<()>(0);
    let (theirs, theirs_of_std) = (Arc::clone(&lock), Arc::clone(&of_std));
    // This fiber holds its locks from before the panic of another until after it.
    let innocent = abaca::spawn_local(move || {
        let _guards = (theirs.lock().unwrap(), theirs_of_std.lock().unwrap());
        gone.recv().unwrap();
        assert!(!thread::panicking());
    });
    abaca::yield_now();
    let unwinding = spawn_unwinding(receiver);
    assert!(!thread::panicking());
    go.send(()).unwrap();
    innocent.join().unwrap();
    assert!(!lock.is_poisoned() && !of_std.is_poisoned());
    // A fiber that does panic beside it poisons its lock.
    let theirs = Arc::clone(&lock);
    let guilty = abaca::spawn_local(move || {
        let _guard = theirs.lock().unwrap();
        panic!("on purpose");
    });
    assert!(guilty.join().is_err());
    assert!(lock.is_poisoned());
    sender.send(()).unwrap();
    assert!(unwinding.join().is_err());
}

#[abaca::test(workers = 1)]
fn the_neighbours_of_an_unwinding_fiber_are_cancelled_and_time_out() {
    let (sender, receiver) = bounded(0);
    let unwinding = spawn_unwinding(receiver);
    assert!(abaca::time::timeout(Duration::from_millis(1), abaca::park).is_err());
    let parked = abaca::spawn_local(abaca::park);
    abaca::yield_now();
    parked.cancel();
    assert!(parked.join().unwrap_err().is::<abaca::Cancelled>());
    let token = abaca::cancel::CancellationToken::new();
    let theirs = token.clone();
    let guarded = abaca::spawn_local(move || theirs.run_until_cancelled(abaca::park).is_none());
    abaca::yield_now();
    token.cancel();
    assert!(guarded.join().unwrap());
    // The neighbours themselves unwind and block in destructors.
    let (other, receiver) = bounded(0);
    let second = spawn_unwinding(receiver);
    assert!(abaca::time::timeout(Duration::from_millis(1), abaca::park).is_err());
    sender.send(()).unwrap();
    assert!(unwinding.join().is_err());
    other.send(()).unwrap();
    assert!(second.join().is_err());
    assert!(!thread::panicking());
}

#[abaca::test(workers = 1)]
fn an_unwinding_fiber_reads_and_sleeps_beside_its_neighbours() {
    /// Sends over a connection and sleeps when it is dropped.
    struct Says(TcpStream, Arc<AtomicUsize>);
    impl Drop for Says {
        fn drop(&mut self) {
            let mut byte = [0];
            abaca::sleep(Duration::from_millis(1));
            self.0.write_all(&[1]).unwrap();
            self.0.read_exact(&mut byte).unwrap();
            let from = abaca::blocking::run(|| thread::current().name().map(str::to_owned));
            assert!(thread::panicking() && from.unwrap().contains("blocking"));
            self.1.fetch_add(usize::from(byte[0]), SeqCst);
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&answered);
    let unwinding = abaca::spawn(move || {
        let _says = Says(TcpStream::connect(address).unwrap(), theirs);
        panic!("on purpose");
    });
    // This fiber is on the same worker: it could not answer if the other fiber blocked the thread.
    let (mut stream, _) = listener.accept().unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    stream.write_all(&[7]).unwrap();
    assert!(unwinding.join().is_err());
    assert_eq!(answered.load(SeqCst), 7);
}

#[abaca::test(workers = 1)]
fn a_panic_hook_that_sleeps_does_not_make_a_neighbours_panic_fatal() {
    static SLEPT: AtomicUsize = AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() == Some(&"sleep in the hook") {
            abaca::sleep(Duration::from_millis(1));
            SLEPT.fetch_add(1, SeqCst);
        } else {
            before(info);
        }
    }));
    let all: Vec<_> = (0..10).map(|_| abaca::spawn(|| panic!("sleep in the hook"))).collect();
    all.into_iter().for_each(|fiber: JoinHandle<()>| assert!(fiber.join().is_err()));
    assert_eq!(SLEPT.load(SeqCst), 10);
}
