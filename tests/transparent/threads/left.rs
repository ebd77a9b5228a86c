//! The end of a runtime is not the end of its threads.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use abaca::Runtime;

use crate::support::on_one_worker;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn threads_go_on_and_start_others_when_their_runtime_has_ended() {
    abaca_transparent::threads_are_fibers().unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let cancelled = on_one_worker(move || {
        let both_wait = Arc::new(Barrier::new(3));
        // One of a pool: nobody will have anything to do for it.
        let at_barrier = both_wait.clone();
        thread::spawn(move || {
            at_barrier.wait();
            loop {
                thread::park();
            }
        });
        let at_barrier = both_wait.clone();
        thread::spawn(move || {
            at_barrier.wait();
            let mut byte = [0];
            (&theirs).read_exact(&mut byte).unwrap();
            let answer = thread::spawn(move || byte[0] * 2).join().unwrap();
            (&theirs).write_all(&[answer]).unwrap();
        });
        both_wait.wait();
        // What is no thread ends.
        abaca::spawn(abaca::park)
    });
    assert!(cancelled.join().unwrap_err().is::<abaca::Cancelled>());
    ours.write_all(&[21]).unwrap();
    let mut answer = [0];
    ours.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [42]);
}

#[test]
fn a_server_goes_on_when_its_runtime_has_ended_and_workers_with_it() {
    abaca_transparent::threads_are_fibers().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = Runtime::builder().workers(4).build().unwrap();
    let run = || {
        runtime.run(|| {
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    thread::spawn(move || {
                        stream.write_all(b"hello").unwrap();
                        // Until the other end is closed.
                        stream.read_to_end(&mut Vec::new()).unwrap();
                    });
                }
            });
        });
    };
    thread::scope(|scope| abaca_transparent::as_kernel_threads(|| scope.spawn(run)).join()).unwrap();
    drop(runtime);
    // Each connection's thread is started by a worker that is still there, however many connections that has already.
    let connections: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    for mut connection in &connections {
        let mut text = [0; 5];
        connection.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
    }
}

/// Starts a thread that reads from `stream`, and returns its join; when it returns, the thread has started.
fn reader(stream: UnixStream) -> thread::JoinHandle<io::Result<usize>> {
    let (begins, has_begun) = mpsc::channel();
    let reader = thread::spawn(move || {
        begins.send(()).unwrap();
        (&stream).read(&mut [0])
    });
    has_begun.recv().unwrap();
    reader
}

#[test]
fn a_thread_that_a_fiber_joins_ends_with_it() {
    abaca_transparent::threads_are_fibers().unwrap();
    let (_open, theirs) = UnixStream::pair().unwrap();
    let joiner = on_one_worker(move || {
        let (begins, has_begun) = mpsc::channel();
        let joiner = abaca::spawn(move || {
            let reader = reader(theirs);
            begins.send(()).unwrap();
            reader.join().unwrap()
        });
        has_begun.recv().unwrap();
        joiner
    });
    assert_eq!(joiner.join().unwrap().unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}

#[test]
fn a_shutdown_ends_threads_as_well() {
    abaca_transparent::threads_are_fibers().unwrap();
    let (_open, theirs) = UnixStream::pair().unwrap();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let reader = abaca_transparent::as_kernel_threads(|| {
        thread::scope(|scope| scope.spawn(|| runtime.run(|| reader(theirs))).join().unwrap())
    });
    runtime.shutdown(LONG).unwrap();
    assert_eq!(reader.join().unwrap().unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}
