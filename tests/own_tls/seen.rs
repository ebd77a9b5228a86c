//! What is seen from outside of fibers with storage of their own, also of those that their worker has left behind.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::observe::flight::{Outcome, Recorder, Recording, Waker};
use abaca::observe::{FiberDump, FiberState};
use abaca::runtime::Poller;

use crate::hogs::{block_until, hog_until, tick};
use crate::own;

fn named(recording: &Recording, name: &str) -> usize {
    let is = |fiber: &abaca::observe::flight::Fiber| fiber.name.as_deref() == Some(name);
    recording.fibers().iter().position(is).unwrap_or_else(|| panic!("{name} in {:?}", recording.fibers()))
}

#[test]
fn recordings_and_dumps_show_fibers_that_keep_their_thread_and_those_beside_them() {
    for workers in [1, 2, 8] {
        let builder = own().workers(workers).flight_recorder(Recorder::new());
        let runtime = builder.build().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let spawn = |name: &str, f: fn(&AtomicUsize, usize), enough| {
            let (name, count) = (name.to_owned(), Arc::clone(&count));
            runtime.run(|| abaca::Builder::new().name(name).spawn(move || f(&count, enough)).unwrap())
        };
        let fibers = [
            spawn("computes", hog_until, 40),
            spawn("blocks", block_until, 40),
            spawn("ticks", tick, usize::MAX / 2),
        ];
        let mut dumps = 0;
        while count.load(SeqCst) < 40 || dumps < 3 {
            let dump = abaca::dump();
            let seen: Vec<&FiberDump> = dump
                .fibers()
                .iter()
                .filter(|fiber| matches!(fiber.name(), Some("computes" | "blocks" | "ticks")))
                .collect();
            for fiber in &seen {
                let keeps_on = fiber.name() != Some("ticks");
                assert!(!keeps_on || fiber.state() != FiberState::Parked, "{dump}");
            }
            assert!(dump.cycles().is_empty());
            dumps += 1;
        }
        fibers[2].cancel();
        let [computes, blocks, ticks] = fibers;
        runtime.run(|| {
            computes.join().unwrap();
            blocks.join().unwrap();
            assert!(ticks.join().is_err());
        });
        let recording = runtime.recording().unwrap();
        for name in ["computes", "blocks"] {
            let fiber = named(&recording, name);
            let last = recording.turns().iter().rfind(|turn| turn.fiber == fiber).unwrap();
            assert_eq!(last.outcome, Outcome::Ended, "{name}");
        }
        let ticks = named(&recording, "ticks");
        let sleeps = recording
            .turns()
            .iter()
            .filter(|turn| turn.fiber == ticks && turn.outcome == Outcome::Parked("sleep"));
        assert!(sleeps.count() >= 40);
        for turn in recording.turns() {
            assert!(
                turn.begin <= turn.end && turn.end <= recording.end() + Duration::from_secs(1),
                "{turn:?}"
            );
        }
    }
}

/// What a worker does after it has left a fiber is not that fiber's, and what the fiber had done before is.
#[test]
fn the_turn_of_a_fiber_ends_where_its_worker_leaves_it() {
    for recorder in [Recorder::new(), Recorder::coarse().events(1 << 20)] {
        leaves_and_comes_home(recorder);
    }
}

fn leaves_and_comes_home(recorder: Recorder) {
    const ROUNDS: usize = 10;
    let builder = own().eager_handoff().workers(1).flight_recorder(recorder);
    let runtime = builder.build().unwrap();
    runtime.run(|| {
        let turns = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&turns);
        // It has few turns, also if the other is kept from its processor for long: what came first would be lost among more.
        let beside = abaca::Builder::new().name("beside".into()).spawn(move || {
            for _ in 0..ROUNDS {
                abaca::park();
                theirs.fetch_add(1, SeqCst);
                abaca::yield_now();
                theirs.fetch_add(1, SeqCst);
            }
        });
        let beside = beside.unwrap();
        for _ in 0..ROUNDS {
            // It runs only if the worker leaves this fiber, which does not enter the runtime meanwhile.
            let before = turns.load(SeqCst);
            beside.fiber().unpark();
            while turns.load(SeqCst) < before + 2 {
                std::hint::spin_loop();
            }
            abaca::yield_now();
        }
        beside.join().unwrap();
    });
    let recording = runtime.recording().unwrap();
    let [main, beside] = ["main", "beside"].map(|name| named(&recording, name));
    let left: Vec<_> = recording.turns().iter().filter(|turn| turn.outcome == Outcome::Left).collect();
    assert!(left.iter().filter(|turn| turn.fiber == main).count() >= ROUNDS, "{left:?}");
    assert!(left.iter().all(|turn| [main, beside].contains(&turn.fiber)), "{left:?}");
    for pair in recording.turns().windows(2) {
        assert!(pair[0].end <= pair[1].begin, "{pair:?}");
    }
}

/// The destructors of thread-locals are code of the fiber: they may wait, and its worker may leave it in them.
#[test]
fn what_the_destructors_of_thread_locals_do_is_in_the_fibers_turns() {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            abaca::yield_now();
            abaca::observe::flight::mark("destructor");
        }
    }
    thread_local!(static LOCAL: std::cell::RefCell<Option<Yields>> = const { std::cell::RefCell::new(None) });
    for recorder in [Recorder::new(), Recorder::coarse()] {
        let runtime = own().workers(1).flight_recorder(recorder).build().unwrap();
        runtime.run(|| {
            let body = || LOCAL.set(Some(Yields));
            abaca::Builder::new().name("child".into()).spawn(body).unwrap().join().unwrap();
        });
        let recording = runtime.recording().unwrap();
        let child = named(&recording, "child");
        let turns = recording.turns().iter().filter(|turn| turn.fiber == child);
        let outcomes: Vec<_> = turns.map(|turn| turn.outcome).collect();
        assert_eq!(outcomes, [Outcome::Yielded, Outcome::Ended]);
        assert!(recording.notes().iter().any(|note| note.fiber == child && note.text == "destructor"));
        assert_eq!(recording.fibers().len(), 2, "{recording:?}");
    }
}

/// A worker that slept where others may take it has its events from the kernel as well.
#[test]
fn who_waits_for_a_descriptor_while_its_worker_sleeps_is_woken_by_the_kernel() {
    const ROUNDS: usize = 100;
    for (workers, is_eager) in [(2, false), (1, true), (2, true)] {
        let builder = own().workers(workers).poller(Poller::Workers);
        let builder = if is_eager { builder.eager_handoff() } else { builder };
        let runtime = builder.flight_recorder(Recorder::new()).build().unwrap();
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let reads = move || {
            // Who has ended last on this worker is not the one that wakes.
            abaca::spawn_local(|| ()).join().unwrap();
            let mut theirs = abaca::net::UnixStream::from(theirs);
            for _ in 0..ROUNDS {
                theirs.read_exact(&mut [0]).unwrap();
                count.fetch_add(1, SeqCst);
            }
        };
        let reads = runtime.run(|| abaca::Builder::new().name("reads".into()).spawn(reads).unwrap());
        for round in 0..ROUNDS {
            while read.load(SeqCst) < round {
                std::thread::yield_now();
            }
            // The worker goes to sleep, most likely.
            (0..10).for_each(|_| std::thread::yield_now());
            ours.write_all(b"x").unwrap();
        }
        reads.join().unwrap();
        let recording = runtime.recording().unwrap();
        let reads = named(&recording, "reads");
        let wakers: Vec<_> = recording.wakeups().iter().filter(|wakeup| wakeup.fiber == reads).collect();
        // The first is by the one that it has joined. The monitor takes a busy worker's events in its place.
        let is_kernel = |by| [Waker::Poller, Waker::Thread].contains(&by);
        assert!(wakers.iter().skip(1).all(|wakeup| is_kernel(wakeup.by)), "{wakers:?}");
        assert!(wakers.iter().any(|wakeup| wakeup.by == Waker::Poller), "{wakers:?}");
    }
}
