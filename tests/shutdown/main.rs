//! The end of a runtime: fibers parked in every kind of wait unwind, destructors run, what does not end is reported.

mod late_spawns;
mod never_started;
mod unwinding;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream, UnixStream};
use abaca::runtime::Poller;
use abaca::sync::{Condvar, Mutex, WaitGroup};
use abaca::{Cancelled, JoinHandle, Runtime};
use abaca_tests::{kernel_thread_name, with_shared_storage};

const LONG: Duration = Duration::from_secs(300);

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Spawns one fiber per wait, lets all of them block, shuts down, and checks that each unwound.
fn check_that_all_unwind(waits: Vec<Box<dyn FnOnce() + Send>>) {
    let runtime = Runtime::new().unwrap();
    let (drops, count) = (Arc::new(AtomicUsize::new(0)), waits.len());
    let handles: Vec<JoinHandle<()>> = runtime.run(|| {
        let started = Arc::new(AtomicUsize::new(0));
        let handles = waits
            .into_iter()
            .map(|wait| {
                let (drops, started) = (Counted(Arc::clone(&drops)), Arc::clone(&started));
                abaca::spawn(move || {
                    let _drops = drops;
                    started.fetch_add(1, SeqCst);
                    wait();
                    // What it waited for may have been cancelled first, as with a join.
                    abaca::park();
                })
            })
            .collect();
        while started.load(SeqCst) < count {
            abaca::yield_now();
        }
        handles
    });
    runtime.shutdown(LONG).unwrap();
    assert_eq!(drops.load(SeqCst), count, "every destructor ran");
    for handle in handles {
        assert!(handle.join().unwrap_err().is::<Cancelled>());
    }
}

#[test]
fn waits_inside_the_process_unwind() {
    let (empty_sender, empty) = abaca::channel::bounded::<()>(0);
    let (full, full_receiver) = abaca::channel::bounded::<()>(1);
    full.send(()).unwrap();
    let mutex = Arc::new(Mutex::new(()));
    let guard = Arc::clone(&mutex);
    let pair = Arc::new((Mutex::new(()), Condvar::new()));
    let group = WaitGroup::new();
    let waiting = group.clone();
    check_that_all_unwind(vec![
        Box::new(abaca::park),
        Box::new(|| abaca::park_timeout(Duration::from_secs(1_000))),
        Box::new(|| abaca::sleep(Duration::from_secs(1_000))),
        Box::new(|| abaca::spawn(abaca::park).join().unwrap_or(())),
        Box::new(|| {
            abaca::scope(|scope| {
                scope.spawn(abaca::park);
            });
        }),
        Box::new(move || empty.recv().unwrap()),
        Box::new(move || full.send(()).unwrap()),
        Box::new(move || {
            let _guard = guard.lock();
            abaca::park();
        }),
        Box::new(move || {
            abaca::yield_now();
            let _second = mutex.lock();
            abaca::park();
        }),
        Box::new(move || drop(pair.1.wait(pair.0.lock().unwrap()))),
        Box::new(move || waiting.wait()),
        Box::new(|| {
            loop {
                abaca::yield_now();
            }
        }),
    ]);
    drop((empty_sender, full_receiver, group));
}

#[test]
fn waits_for_the_network_unwind() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    check_that_all_unwind(vec![
        Box::new(|| drop(TcpListener::bind("127.0.0.1:0").unwrap().accept())),
        Box::new(move || drop(TcpStream::connect(address).unwrap().read(&mut [0; 8]))),
        Box::new(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            while std::io::Write::write_all(&mut stream, &[0; 65_536]).is_ok() {}
        }),
    ]);
}

#[test]
fn tasks_that_never_started_are_refused_and_dropped() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let ran = Arc::new(AtomicBool::new(false));
    let handles: Vec<_> = runtime.run(|| {
        (0..100)
            .map(|_| {
                let (counted, ran) = (Counted(Arc::clone(&drops)), Arc::clone(&ran));
                abaca::spawn(move || {
                    let _counted = counted;
                    abaca::park();
                    ran.store(true, SeqCst);
                })
            })
            .collect()
    });
    runtime.shutdown(LONG).unwrap();
    assert_eq!(drops.load(SeqCst), 100);
    assert!(!ran.load(SeqCst));
    for handle in handles {
        assert!(handle.join().unwrap_err().is::<Cancelled>());
    }
}

#[test]
fn destructors_may_block_while_their_fiber_is_cancelled() {
    struct Blocks(Arc<AtomicUsize>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            abaca::sleep(Duration::from_millis(1));
            let (sender, receiver) = abaca::channel::bounded(0);
            std::thread::spawn(move || sender.send(()).unwrap());
            receiver.recv().unwrap();
            abaca::yield_now();
            self.0.fetch_add(1, SeqCst);
        }
    }
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    runtime.run(|| {
        let started = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let (blocks, started) = (Blocks(Arc::clone(&done)), Arc::clone(&started));
            abaca::spawn(move || {
                let _blocks = blocks;
                started.fetch_add(1, SeqCst);
                abaca::park();
            });
        }
        while started.load(SeqCst) < 20 {
            abaca::yield_now();
        }
    });
    runtime.shutdown(LONG).unwrap();
    assert_eq!(done.load(SeqCst), 20);
}

#[test]
fn a_fiber_is_cancelled_once_even_if_it_catches_that() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.run(|| {
        let started = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&started);
        let handle = abaca::spawn(move || {
            started.store(true, SeqCst);
            let caught = std::panic::catch_unwind(abaca::park).unwrap_err();
            assert!(caught.is::<Cancelled>());
            abaca::sleep(Duration::from_micros(10));
            "went on"
        });
        while !seen.load(SeqCst) {
            abaca::yield_now();
        }
        handle
    });
    runtime.shutdown(LONG).unwrap();
    assert_eq!(handle.join().unwrap(), "went on");
}

#[test]
fn what_does_not_end_in_time_is_reported() {
    let error = (0..4).map(|exponent| left_behind(Duration::from_millis(10_u64.pow(exponent + 1))));
    let error =
        error.into_iter().find(|error| error.busy_workers == 1).expect("the idle worker ends in ten seconds");
    assert_eq!(error.fibers, 1);
    assert!(error.to_string().contains("did not end in time"));
}

#[test]
fn without_fibers_no_time_is_enough() {
    for _ in 0..20 {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        runtime.shutdown(Duration::ZERO).unwrap();
    }
}

/// What a shutdown in that time reports beside one fiber that keeps its worker. The other worker may need more than a little time
/// to end.
fn left_behind(time: Duration) -> abaca::runtime::ShutdownError {
    abaca_tests::leaks::expect_runtime(2);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (release, started) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let handle = runtime.spawn({
        let (release, started) = (Arc::clone(&release), Arc::clone(&started));
        move || {
            started.store(true, SeqCst);
            while !release.load(SeqCst) {
                std::hint::spin_loop();
            }
        }
    });
    while !started.load(SeqCst) {
        std::thread::yield_now();
    }
    let error = runtime.shutdown(time).unwrap_err();
    // The abandoned fiber still ends, and can still be joined.
    release.store(true, SeqCst);
    handle.join().unwrap();
    error
}

#[test]
fn nothing_is_spawned_once_the_shutdown_has_begun() {
    let runtime = Runtime::new().unwrap();
    let refused = Arc::new(AtomicBool::new(false));
    runtime.run(|| {
        struct Spawns(Arc<AtomicBool>);
        impl Drop for Spawns {
            fn drop(&mut self) {
                let error = abaca::Builder::new().spawn(|| ()).unwrap_err();
                self.0.store(error == abaca::SpawnError::ShuttingDown, SeqCst);
            }
        }
        let spawns = Spawns(Arc::clone(&refused));
        let started = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&started);
        abaca::spawn(move || {
            let _spawns = spawns;
            started.store(true, SeqCst);
            abaca::park();
        });
        while !seen.load(SeqCst) {
            abaca::yield_now();
        }
    });
    runtime.shutdown(LONG).unwrap();
    assert!(refused.load(SeqCst));
}

#[test]
fn when_main_returns_the_rest_is_cancelled() {
    let drops = Arc::new(AtomicUsize::new(0));
    abaca::run(|| {
        for _ in 0..1_000 {
            let counted = Counted(Arc::clone(&drops));
            abaca::spawn(move || {
                let _counted = counted;
                abaca::sleep(Duration::from_secs(1_000));
            });
        }
        abaca::yield_now();
    });
    assert_eq!(drops.load(SeqCst), 1_000);
}

/// Whether this process has a thread of that name.
fn has_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.flatten().any(|thread| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|text| text.trim_end() == name)
    })
}

/// A descriptor is watched by the poller of the worker on which somebody waited first. That one may have ended.
#[test]
fn a_wait_outlasts_the_worker_that_polls_for_it() {
    // With its own storage, a fiber's worker would be no thread.
    let builder = with_shared_storage().workers(2).poller(Poller::Workers);
    let runtime = builder.name("two").build().unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (poller, waiting) = runtime.run(move || {
        let watched = Arc::new(theirs);
        watched.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!((&*watched).read(&mut [0]).is_err(), "there is nothing yet");
        watched.set_read_timeout(None).unwrap();
        let begun = Arc::new(AtomicBool::new(false));
        let waiting = abaca::spawn({
            let begun = Arc::clone(&begun);
            move || {
                begun.store(true, SeqCst);
                abaca::cancel::shield(|| (&*watched).read_exact(&mut [0; 5]).unwrap());
            }
        });
        // This worker is busy, so the other one takes it.
        while !begun.load(SeqCst) {
            std::thread::yield_now();
        }
        (kernel_thread_name(), waiting)
    });
    let ending = std::thread::spawn(move || runtime.shutdown(LONG));
    while has_thread(&poller) {
        std::thread::yield_now();
    }
    ours.write_all(b"after").unwrap();
    assert!(ending.join().unwrap().is_ok());
    assert!(waiting.join().is_ok());
}
