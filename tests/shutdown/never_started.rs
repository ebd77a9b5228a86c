//! Tasks that have not started when the shutdown begins: they never run, and what they own is dropped in a fiber.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::net::UnixStream;
use abaca::runtime::Poller;
use abaca::{Builder, Cancelled, Runtime};
use abaca_tests::with_shared_storage;

use super::{Counted, LONG, has_thread};

#[test]
fn they_do_not_run_wherever_they_wait() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (ran, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let busy = Arc::new(AtomicBool::new(false));
    let hog = runtime.spawn({
        let (ran, drops, busy) = (Arc::clone(&ran), Arc::clone(&drops), Arc::clone(&busy));
        move || {
            let spawn = |local: bool| {
                let (ran, counted) = (Arc::clone(&ran), Counted(Arc::clone(&drops)));
                let task = move || {
                    let _counted = counted;
                    ran.fetch_add(1, SeqCst);
                };
                if local { Builder::new().spawn_local(task) } else { Builder::new().spawn(task) }
            };
            let handles = [spawn(true), spawn(false), spawn(true), spawn(false)].map(Result::unwrap);
            busy.store(true, SeqCst);
            // Keeps the worker until the shutdown has begun.
            while Builder::new().spawn_local(|| ()).is_ok() {
                std::thread::yield_now();
            }
            handles
        }
    });
    while !busy.load(SeqCst) {
        std::thread::yield_now();
    }
    let injected: Vec<_> = (0..10)
        .map(|_| {
            let (ran, counted) = (Arc::clone(&ran), Counted(Arc::clone(&drops)));
            runtime.spawn(move || {
                let _counted = counted;
                ran.fetch_add(1, SeqCst);
            })
        })
        .collect();
    runtime.shutdown(LONG).unwrap();
    assert_eq!((ran.load(SeqCst), drops.load(SeqCst)), (0, 14));
    let handles = hog.join().unwrap().into_iter().chain(injected);
    handles.for_each(|handle| assert!(handle.join().unwrap_err().is::<Cancelled>()));
}

#[test]
fn their_destructors_may_wait_for_fibers_that_are_being_cancelled() {
    struct Sends(abaca::channel::Sender<()>);
    impl Drop for Sends {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    struct Receives(abaca::channel::Receiver<()>, Arc<AtomicBool>);
    impl Drop for Receives {
        fn drop(&mut self) {
            self.0.recv().unwrap();
            self.1.store(true, SeqCst);
        }
    }
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (sender, receiver) = abaca::channel::bounded(0);
    let received = Arc::new(AtomicBool::new(false));
    let receives = Receives(receiver, Arc::clone(&received));
    let parked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&parked);
    runtime.spawn(move || {
        let _sends = Sends(sender);
        seen.store(true, SeqCst);
        abaca::park();
    });
    while !parked.load(SeqCst) {
        std::thread::yield_now();
    }
    let (busy, seen) = (Arc::new(AtomicBool::new(false)), Arc::clone(&received));
    let is_busy = Arc::clone(&busy);
    runtime.spawn(move || {
        abaca::spawn(move || drop(receives));
        busy.store(true, SeqCst);
        while Builder::new().spawn_local(|| ()).is_ok() {
            std::thread::yield_now();
        }
        assert!(!seen.load(SeqCst), "it has not started");
    });
    while !is_busy.load(SeqCst) {
        std::thread::yield_now();
    }
    runtime.shutdown(LONG).unwrap();
    assert!(received.load(SeqCst));
}

/// A task that is yet to be refused counts as no fiber, but the poller must be there for it.
#[test]
fn their_destructors_may_wait_for_descriptors() {
    struct Asks(UnixStream);
    impl Drop for Asks {
        fn drop(&mut self) {
            for _ in 0..100 {
                self.0.write_all(b"?").unwrap();
                self.0.read_exact(&mut [0]).unwrap();
            }
        }
    }
    for poller in [Poller::Workers, Poller::Thread] {
        let may_begin = Arc::new(AtomicBool::new(false));
        let begin = Arc::clone(&may_begin);
        // Where workers may leave their threads, the monitor stays until the last of them has ended.
        let builder =
            with_shared_storage().workers(1).poller(poller).name("late").on_thread_start(move || {
                while !begin.load(SeqCst) {
                    std::thread::yield_now();
                }
            });
        let runtime = builder.build().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let asks = Asks(ours);
        let task = runtime.spawn(move || drop(asks));
        // A thread has its name once it runs.
        while !has_thread("late-monitor") {
            std::thread::yield_now();
        }
        let ending = std::thread::spawn(move || runtime.shutdown(LONG));
        // The monitor ends when the shutdown has begun, as does a poller that finds nothing to wait for.
        while has_thread("late-monitor") {
            std::thread::yield_now();
        }
        may_begin.store(true, SeqCst);
        theirs.set_read_timeout(Some(LONG)).unwrap();
        let mut questions = 0;
        while theirs.read(&mut [0]).is_ok_and(|length| length > 0) {
            questions += 1;
            std::thread::yield_now();
            theirs.write_all(b"!").unwrap();
        }
        assert_eq!(questions, 100);
        ending.join().unwrap().unwrap();
        assert!(task.join().unwrap_err().is::<Cancelled>());
    }
}
