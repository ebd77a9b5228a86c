//! A span follows its fiber over each kind of wait, and neighbours see their own meanwhile.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::net::{TcpListener, TcpStream, UdpSocket};
use abaca::process::Command;
use abaca::sync::{Barrier, Condvar, Mutex, Notify, RwLock, Semaphore, WaitGroup, mpsc};
use abaca::{blocking, cancel, channel, future, promise, time};
use tracing::error_span;

use super::{current, runtime};

const SHORT: Duration = Duration::from_millis(2);

/// Starts a fiber that gives what the caller waits for, after a moment. It has a span of its own.
fn later(give: impl FnOnce() + Send + 'static) {
    abaca::spawn(|| {
        assert_eq!(current(), None);
        error_span!("giver").in_scope(|| {
            abaca::sleep(SHORT);
            give();
            assert_eq!(current(), Some("giver"));
        });
    });
}

/// Waits of all rooms, by name.
const WAITS: &[(&str, fn())] = &[
    ("yield", || abaca::yield_now()),
    ("sleep", || abaca::sleep(SHORT)),
    ("park", || {
        let me = abaca::current();
        later(move || me.unpark());
        abaca::park();
    }),
    ("mutex", || {
        let lock = Arc::new(Mutex::new(()));
        let theirs = Arc::clone(&lock);
        let held = lock.lock().unwrap();
        let other = abaca::spawn(move || drop(theirs.lock().unwrap()));
        abaca::yield_now();
        drop(held);
        drop(lock.lock().unwrap());
        other.join().unwrap();
    }),
    ("reader", || {
        let lock = Arc::new(RwLock::new(()));
        let theirs = Arc::clone(&lock);
        let other = abaca::spawn(move || {
            let _held = theirs.write().unwrap();
            abaca::sleep(SHORT);
        });
        abaca::yield_now();
        drop(lock.read().unwrap());
        other.join().unwrap();
    }),
    ("condition", || {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        later(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_all();
        });
        drop(pair.1.wait_while(pair.0.lock().unwrap(), |is_set| !*is_set).unwrap());
    }),
    ("semaphore", || {
        let permits = Arc::new(Semaphore::new(0));
        let theirs = Arc::clone(&permits);
        later(move || theirs.add_permits(1));
        drop(permits.acquire());
    }),
    ("barrier", || {
        let barrier = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&barrier);
        later(move || _ = theirs.wait());
        barrier.wait();
    }),
    ("notify", || {
        let notify = Arc::new(Notify::new());
        let theirs = Arc::clone(&notify);
        later(move || theirs.notify_one());
        notify.notified();
    }),
    ("wait group", || {
        let group = WaitGroup::new();
        let theirs = group.clone();
        later(move || drop(theirs));
        group.wait();
    }),
    ("mpsc", || {
        let (sender, receiver) = mpsc::channel();
        later(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
    }),
    ("channel", || {
        let (sender, receiver) = channel::bounded(0);
        later(move || assert_eq!(receiver.recv(), Ok(1)));
        sender.send(1).unwrap();
    }),
    ("oneshot", || {
        let (sender, receiver) = channel::oneshot::channel();
        later(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
    }),
    ("select", || {
        let (sender, receiver) = channel::bounded(0);
        let (_other, never) = channel::bounded::<u8>(0);
        later(move || sender.send(1).unwrap());
        abaca::select! {
            recv(receiver) -> value => assert_eq!(value, Ok(1)),
            recv(never) -> _ => unreachable!("nobody sends"),
        }
    }),
    ("join", || abaca::spawn(|| abaca::sleep(SHORT)).join().unwrap()),
    ("scope", || {
        let mut seen = None;
        abaca::scope(|scope| {
            scope.spawn(|| {
                abaca::sleep(SHORT);
                seen = Some(current());
            });
        });
        assert_eq!(seen, Some(None), "a fiber of a scope begins without a span");
    }),
    ("panic", || {
        let panics = abaca::spawn(|| {
            let _span = error_span!("panics").entered();
            abaca::yield_now();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panics.join().is_err());
    }),
    ("cancellation", || {
        let parked = abaca::spawn(|| {
            let _span = error_span!("cancelled").entered();
            abaca::park();
        });
        abaca::yield_now();
        parked.cancel();
        assert!(parked.join().is_err());
    }),
    ("timeout", || assert!(time::timeout(SHORT, abaca::park).is_err())),
    ("shield", || cancel::shield(|| abaca::sleep(SHORT))),
    ("pool", || {
        let theirs = blocking::run(|| {
            std::thread::sleep(SHORT);
            current()
        });
        assert_eq!(theirs, None, "the pool's thread has none");
    }),
    ("future", || {
        let (sender, receiver) = channel::oneshot::channel();
        later(move || sender.send(1).unwrap());
        assert_eq!(future::block_on(receiver), Ok(1));
    }),
    ("promise", || {
        let promise = promise::spawn(|| {
            abaca::sleep(SHORT);
            1
        });
        assert_eq!(promise.wait().unwrap(), 1);
    }),
    ("stream", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        later(move || TcpStream::connect(address).unwrap().write_all(b"x").unwrap());
        let mut read = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"x");
    }),
    ("datagram", || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        later(move || _ = UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address).unwrap());
        assert_eq!(socket.recv(&mut [0]).unwrap(), 1);
    }),
    ("child", || assert!(Command::new("true").status().unwrap().success())),
];

#[test]
fn a_span_follows_its_fiber_over_each_wait_and_is_never_seen_by_its_neighbour() {
    for workers in [1, 3] {
        runtime(workers).run(|| {
            let (is_over, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let neighbour = |span: Option<&'static str>| {
                let (is_over, turns) = (Arc::clone(&is_over), Arc::clone(&turns));
                abaca::spawn_local(move || {
                    assert_eq!(current(), None);
                    let _span = span.map(|_| error_span!("neighbour").entered());
                    while !is_over.load(SeqCst) {
                        assert_eq!(current(), span);
                        turns.fetch_add(1, SeqCst);
                        abaca::yield_now();
                    }
                })
            };
            let neighbours = [neighbour(None), neighbour(Some("neighbour"))];
            for (name, wait) in WAITS {
                let before = turns.load(SeqCst);
                error_span!("outer").in_scope(|| {
                    wait();
                    assert_eq!(current(), Some("outer"), "{name}");
                    error_span!("inner").in_scope(|| {
                        wait();
                        assert_eq!(current(), Some("inner"), "{name}");
                    });
                    assert_eq!(current(), Some("outer"), "{name}");
                });
                assert_eq!(current(), None, "{name}");
                assert!(turns.load(SeqCst) >= before + 2, "{name}: no neighbour ran");
            }
            is_over.store(true, SeqCst);
            neighbours.into_iter().for_each(|fiber| fiber.join().unwrap());
        });
    }
}

#[test]
fn fibers_of_two_runtimes_have_spans_of_their_own() {
    let (first, second) = (runtime(1), runtime(1));
    let work = |name: &'static str| {
        move || {
            let all: Vec<_> = (0..10)
                .map(|_| {
                    abaca::spawn(move || {
                        let _span = match name {
                            "first" => error_span!("first").entered(),
                            _ => error_span!("second").entered(),
                        };
                        for _ in 0..20 {
                            abaca::yield_now();
                            assert_eq!(current(), Some(name));
                        }
                    })
                })
                .collect();
            all.into_iter().for_each(|fiber| fiber.join().unwrap());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| first.run(work("first")));
        scope.spawn(|| second.run(work("second")));
    });
    // A fiber that waits for the other runtime's.
    first.run(|| {
        error_span!("outer").in_scope(|| {
            second.spawn(|| assert_eq!(current(), None)).join().unwrap();
            assert_eq!(current(), Some("outer"));
        });
    });
}
