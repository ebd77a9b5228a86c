//! A worker that is kept by one fiber, where fibers share its thread's storage: what does not need that very worker goes on. But for the
//! relief, none of these tests would end.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::Runtime;
use abaca::net::{TcpListener, TcpStream, UnixStream};

/// Computes until `count` is at least `enough`.
fn hog_until(count: &AtomicUsize, enough: usize) {
    while count.load(SeqCst) < enough {
        std::hint::spin_loop();
    }
}

/// Two workers, whatever the environment says.
fn runtime() -> Runtime {
    Runtime::builder().workers(2).build().unwrap()
}

#[test]
fn a_connection_that_is_placed_on_a_busy_worker_is_served_by_another() {
    let runtime = runtime();
    let [begun, served] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let theirs = [Arc::clone(&begun), Arc::clone(&served)];
    let hog = runtime.spawn(move || {
        theirs[0].store(1, SeqCst);
        hog_until(&theirs[1], 4);
    });
    hog_until(&begun, 1);
    // On the other worker.
    runtime.run(move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..4 {
            let client = std::net::TcpStream::connect(address).unwrap();
            let (stream, _) = listener.accept().unwrap();
            let served = Arc::clone(&served);
            // Every other one is placed on the busy worker.
            abaca::spawn(move || serve(&stream, &served));
            drop(client);
        }
        hog.join().unwrap();
    });
}

fn serve(stream: &TcpStream, served: &AtomicUsize) {
    let mut stream = stream;
    assert_eq!(stream.read(&mut [0; 4]).unwrap(), 0);
    served.fetch_add(1, SeqCst);
}

#[test]
fn an_event_that_a_busy_worker_would_report_wakes_the_fiber_of_another() {
    let runtime = runtime();
    let [begun, woken] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (here, mut there) = StdStream::pair().unwrap();
    let here = Arc::new(UnixStream::from(here));
    let theirs = [Arc::clone(&begun), Arc::clone(&woken)];
    let reader = Arc::clone(&here);
    let hog = runtime.spawn(move || {
        // It blocks first, so its worker's poller has the descriptor.
        assert_eq!((&*reader).read(&mut [0; 1]).unwrap(), 1);
        theirs[0].store(1, SeqCst);
        hog_until(&theirs[1], 1);
    });
    there.write_all(&[1]).unwrap();
    hog_until(&begun, 1);
    let waiting = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&waiting);
    let other = runtime.spawn(move || {
        theirs.store(1, SeqCst);
        assert_eq!((&*here).read(&mut [0; 1]).unwrap(), 1);
        woken.store(1, SeqCst);
    });
    hog_until(&waiting, 1);
    there.write_all(&[2]).unwrap();
    other.join().unwrap();
    hog.join().unwrap();
}

#[test]
fn what_a_busy_fiber_has_spawned_runs_elsewhere() {
    let runtime = runtime();
    let count = Arc::new(AtomicUsize::new(0));
    runtime.run(move || {
        // Fewer than wake a worker by themselves.
        let fibers: Vec<_> = (0..3)
            .map(|_| {
                let count = Arc::clone(&count);
                abaca::spawn(move || _ = count.fetch_add(1, SeqCst))
            })
            .collect();
        hog_until(&count, 3);
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}
