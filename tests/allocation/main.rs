//! What blocking costs besides the wait: no allocation, and within a worker no wake-up of a thread.
//!
//! One test, since its allocator counts for the whole process: it counts what the one worker allocates while fibers of it
//! block on each other, again and again, after a first round in which everything has been allocated that stays.

#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::time::Duration;

use abaca::channel::{bounded, oneshot, select, unbounded, watch};
use abaca::net::UnixStream;
use abaca::sync::{Arc, Barrier, Condvar, Mutex, Notify, RwLock, Semaphore};
use abaca::{spawn, yield_now};
use abaca_tests::on_one_worker;

/// The system's, which counts per thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work; a thread-local without a destructor allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same, and `alloc` gave it the system's pointer.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often the calling thread has gone to sleep by itself so far.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

const ROUNDS: usize = 200;

/// One side of what two fibers do with each other, once.
type Side = Box<dyn FnMut() + Send>;

/// Lets two fibers of one worker do this with each other, again and again. Returns what the worker has allocated
/// meanwhile, and how often it has slept.
fn cost(mut one: Side, mut other: Side) -> (usize, u64) {
    on_one_worker(move || {
        let (start, started) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (theirs, theirs_too) = (Arc::clone(&start), Arc::clone(&started));
        let partner = spawn(move || {
            (0..10).for_each(|_| other());
            theirs.wait();
            theirs_too.wait();
            (0..ROUNDS).for_each(|_| other());
            other // What it holds is given up later: closing a socket is not free.
        });
        (0..10).for_each(|_| one());
        start.wait();
        let slept = sleeps();
        started.wait();
        let before = ALLOCATIONS.get();
        (0..ROUNDS).for_each(|_| one());
        let allocated = ALLOCATIONS.get() - before;
        let slept = sleeps() - slept;
        drop(partner.join().unwrap());
        (allocated, slept)
    })
}

/// What two fibers do with each other, by name. Every round blocks at least one of them.
fn pairs() -> Vec<(&'static str, Side, Side)> {
    let mut pairs: Vec<(&'static str, Side, Side)> = Vec::new();
    let mut pair = |name, one: Side, other: Side| pairs.push((name, one, other));

    let mutex = Arc::new(Mutex::new(()));
    let locked = move || {
        let mutex = Arc::clone(&mutex);
        Box::new(move || {
            let _guard = mutex.lock().unwrap();
            yield_now(); // The other comes, and waits.
        })
    };
    pair("Mutex", locked(), locked());

    let lock = Arc::new(RwLock::new(()));
    let theirs = Arc::clone(&lock);
    let write = move || {
        let _guard = lock.write().unwrap();
        yield_now();
    };
    let read = move || {
        let _guard = theirs.read().unwrap();
        yield_now();
    };
    pair("RwLock", Box::new(write), Box::new(read));

    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    let in_turn = move |own: u8| {
        let turn = Arc::clone(&turn);
        Box::new(move || {
            let guard = turn.0.lock().unwrap();
            *turn.1.wait_while(guard, |now| *now != own).unwrap() = 1 - own;
            turn.1.notify_one();
        })
    };
    pair("Condvar", in_turn(0), in_turn(1));

    let barrier = Arc::new(Barrier::new(2));
    let theirs = Arc::clone(&barrier);
    pair("Barrier", Box::new(move || _ = barrier.wait()), Box::new(move || _ = theirs.wait()));

    let semaphore = Arc::new(Semaphore::new(1));
    let permitted = move || {
        let semaphore = Arc::clone(&semaphore);
        Box::new(move || {
            let _permit = semaphore.acquire().unwrap();
            yield_now();
        })
    };
    pair("Semaphore", permitted(), permitted());

    let notices = Arc::new((Notify::new(), Notify::new()));
    let theirs = Arc::clone(&notices);
    let call = move || {
        notices.0.notify_one();
        notices.1.notified();
    };
    let answer = move || {
        theirs.0.notified();
        theirs.1.notify_one();
    };
    pair("Notify", Box::new(call), Box::new(answer));

    for (name, capacity) in [("a channel without a buffer", 0), ("a channel with a buffer", 1)] {
        let (sender, receiver) = bounded(capacity);
        pair(name, Box::new(move || sender.send(7).unwrap()), Box::new(move || _ = receiver.recv().unwrap()));
    }

    let (sender, receiver) = bounded(0);
    let (back, returned) = bounded(0);
    let (open, silent) = unbounded::<u8>();
    let select_both = move || {
        let _open = &open;
        select! {
            recv(receiver) -> number => back.send(number.unwrap()).unwrap(),
            recv(silent) -> _ => {},
        }
    };
    let send_and_select = move || {
        sender.send(7).unwrap();
        select! {
            recv(returned) -> number => assert_eq!(number, Ok(7)),
            default(Duration::from_secs(3600)) => panic!("the other answers"),
        }
    };
    pair("select!", Box::new(send_and_select), Box::new(select_both));

    let (value, mut watched) = watch::channel(0);
    let (answer, mut answered) = watch::channel(0);
    let change = move || {
        value.send_modify(|value| *value += 1);
        answered.changed().unwrap();
    };
    let look = move || {
        watched.changed().unwrap();
        answer.send_modify(|value| *value += 1);
    };
    pair("watch", Box::new(change), Box::new(look));

    let (mut stream, mut peer) = UnixStream::pair().unwrap();
    let ask = move || {
        stream.write_all(&[7]).unwrap();
        stream.read_exact(&mut [0]).unwrap();
    };
    let reply = move || {
        peer.read_exact(&mut [0]).unwrap();
        peer.write_all(&[7]).unwrap();
    };
    pair("a socket", Box::new(ask), Box::new(reply));
    pairs
}

#[test]
fn blocking_allocates_nothing_and_a_hand_over_within_a_worker_wakes_no_thread() {
    for (name, one, other) in pairs() {
        let is_socket = name == "a socket";
        let (allocated, slept) = cost(one, other);
        assert_eq!(allocated, 0, "{name}");
        // The kernel's readiness is learnt from the kernel. The kernel may put a thread to sleep for reasons of its own, but
        // not at every hand-over.
        assert!(slept < ROUNDS as u64 / 10 || is_socket, "{name}: the worker slept {slept} times");
    }
    // A message that is sent once has a place of its own, and the wait for it none.
    let allocated = on_one_worker(|| {
        let round = || {
            let (sender, receiver) = oneshot::channel();
            let waiter = spawn(move || {
                let before = ALLOCATIONS.get();
                receiver.recv().unwrap();
                ALLOCATIONS.get() - before
            });
            yield_now();
            sender.send(()).unwrap();
            waiter.join().unwrap()
        };
        round();
        round()
    });
    assert_eq!(allocated, 0, "oneshot");
}
