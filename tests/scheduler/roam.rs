//! Roaming fibers change threads, and the runtime's primitives still work for them.

#![expect(
    unsafe_code,
    reason = "spawn_roaming_unchecked is unsafe: these fibers hold nothing that is bound to a thread. And a system call"
)]

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca::{Builder, JoinHandle};

fn spawn_roaming<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: the closures in this file keep only plain data across blocking calls, and read the thread's id in a
    // function that is not inlined.
    unsafe { Builder::new().spawn_roaming_unchecked(f) }.unwrap()
}

/// The kernel's: that of std is the fiber's if it has storage of its own.
#[inline(never)]
fn thread_id() -> i32 {
    // SAFETY: gettid(2) has no preconditions.
    unsafe { libc::gettid() }
}

#[test]
fn roaming_fibers_are_seen_on_several_threads() {
    let runtime = abaca::Runtime::builder().workers(4).build().unwrap();
    let has_moved = Arc::new(AtomicBool::new(false));
    let threads = runtime.run(|| {
        let handles: Vec<_> = (0..64)
            .map(|_| {
                let has_moved = Arc::clone(&has_moved);
                spawn_roaming(move || {
                    let mut seen = HashSet::new();
                    for round in 0..50_000_u64 {
                        seen.insert(thread_id());
                        has_moved.fetch_or(seen.len() > 1, Ordering::Relaxed);
                        // Long enough for the other workers to steal, however busy the machine is.
                        if round >= 200 && has_moved.load(Ordering::Relaxed) {
                            break;
                        }
                        black_box((0..2_000).fold(round, |sum, n| sum ^ black_box(n)));
                        if round % 3 == 0 {
                            abaca::sleep(Duration::from_micros(10))
                        } else {
                            abaca::yield_now()
                        }
                    }
                    seen
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    let most = threads.iter().map(HashSet::len).max().unwrap();
    assert!(most >= 2, "64 fibers yielded 50,000 times on 4 workers, and none was seen on a second thread");
}

#[test]
fn roaming_fibers_use_every_kind_of_wait() {
    let runtime = abaca::Runtime::builder().workers(4).build().unwrap();
    runtime.run(|| {
        let (sender, receiver) = abaca::channel::bounded(4);
        let mutex = std::sync::Arc::new(abaca::sync::Mutex::new(0_u64));
        let senders: Vec<_> = (0..8)
            .map(|n: u64| {
                let (sender, mutex) = (sender.clone(), mutex.clone());
                spawn_roaming(move || {
                    for round in 0..500 {
                        sender.send(n).unwrap();
                        *mutex.lock().unwrap() += 1;
                        if round % 7 == 0 {
                            abaca::park_timeout(Duration::from_micros(5));
                        }
                    }
                    spawn_roaming(move || n).join().unwrap()
                })
            })
            .collect();
        drop(sender);
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let receiver = receiver.clone();
                spawn_roaming(move || receiver.iter().count())
            })
            .collect();
        let names: u64 = senders.into_iter().map(|handle| handle.join().unwrap()).sum();
        let received: usize = receivers.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!((names, received, *mutex.lock().unwrap()), (28, 4_000, 4_000));
    });
}

#[test]
fn parked_roaming_fibers_are_cancelled_by_a_shutdown() {
    let runtime = abaca::Runtime::builder().workers(3).build().unwrap();
    let handles: Vec<_> = runtime.run(|| {
        let handles: Vec<_> = (0..100_u64)
            .map(|n| {
                spawn_roaming(move || {
                    abaca::yield_now();
                    if n % 2 == 0 { abaca::park() } else { abaca::sleep(Duration::from_secs(1_000)) }
                })
            })
            .collect();
        // Of all fibers, the main one alone runs.
        while abaca::observe::parked().iter().map(|(_, fibers)| fibers).sum::<u64>() < 100 {
            abaca::yield_now();
        }
        handles
    });
    runtime.shutdown(Duration::from_secs(300)).unwrap();
    for handle in handles {
        assert!(handle.join().unwrap_err().is::<abaca::Cancelled>());
    }
}
