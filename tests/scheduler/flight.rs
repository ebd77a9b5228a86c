//! The flight recorder: what a recording says is what happened, and its two written forms say the same.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::observe::flight::{self, Activity, Outcome, Recorder, Recording, Turn, Waker};
use abaca_tests::with_shared_storage;

pub(crate) fn runtime(workers: usize, recorder: Recorder) -> Runtime {
    Runtime::builder().workers(workers).flight_recorder(recorder).build().unwrap()
}

/// Where who wakes and steals is looked at: with own storage a fiber may be left to its thread.
fn on_workers(workers: usize, recorder: Recorder) -> Runtime {
    with_shared_storage().workers(workers).flight_recorder(recorder).build().unwrap()
}

/// What the full recorder tells and the one that is on by default.
pub(crate) fn with_both(check: impl Fn(Recorder)) {
    [Recorder::new(), Recorder::coarse()].into_iter().for_each(check);
}

/// The index of the fiber with this name.
pub(crate) fn named(recording: &Recording, name: &str) -> usize {
    let is = |fiber: &flight::Fiber| fiber.name.as_deref() == Some(name);
    recording.fibers().iter().position(is).unwrap_or_else(|| panic!("{name} in {:?}", recording.fibers()))
}

pub(crate) fn turns_of(recording: &Recording, fiber: usize) -> Vec<Turn> {
    recording.turns().iter().filter(|turn| turn.fiber == fiber).copied().collect()
}

fn outcomes(recording: &Recording, fiber: usize) -> Vec<Outcome> {
    turns_of(recording, fiber).iter().map(|turn| turn.outcome).collect()
}

fn wakers_of(recording: &Recording, fiber: usize) -> Vec<Waker> {
    recording.wakeups().iter().filter(|wakeup| wakeup.fiber == fiber).map(|wakeup| wakeup.by).collect()
}

pub(crate) fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> abaca::JoinHandle<()> {
    abaca::Builder::new().name(name.into()).spawn(f).unwrap()
}

#[test]
fn turns_waits_and_wakers_are_what_happened() {
    with_both(|recorder| {
        let runtime = runtime(1, recorder);
        runtime.run(|| {
            let (send, receive) = abaca::channel::bounded(1);
            let reader = spawn("reader", move || receive.recv().unwrap());
            let yields = spawn("yields", || (0..3).for_each(|_| abaca::yield_now()));
            let sleeps = spawn("sleeps", || abaca::sleep(Duration::from_millis(1)));
            let joins = spawn("joins", || yields.join().unwrap());
            // Each yield lets all of them run.
            (0..8).for_each(|_| abaca::yield_now());
            send.send(()).unwrap();
            [reader, sleeps, joins].into_iter().for_each(|fiber| fiber.join().unwrap());
        });
        let recording = runtime.recording().unwrap();
        let [main, reader, yields, sleeps, joins] =
            ["main", "reader", "yields", "sleeps", "joins"].map(|name| named(&recording, name));
        assert_eq!(outcomes(&recording, reader), [Outcome::Parked("channel receive"), Outcome::Ended]);
        assert_eq!(wakers_of(&recording, reader), [Waker::Fiber(main)]);
        use Outcome::{Ended, Yielded};
        assert_eq!(outcomes(&recording, yields), [Yielded, Yielded, Yielded, Ended]);
        assert_eq!(wakers_of(&recording, yields), []);
        assert_eq!(outcomes(&recording, sleeps), [Outcome::Parked("sleep"), Ended]);
        assert_eq!(wakers_of(&recording, sleeps), [Waker::Timer]);
        assert_eq!(outcomes(&recording, joins), [Outcome::Parked("join"), Ended]);
        assert_eq!(wakers_of(&recording, joins), [Waker::Fiber(yields)], "it had ended by then");
        for fiber in [reader, yields, sleeps, joins] {
            let facts = &recording.fibers()[fiber];
            assert_eq!(facts.spawned_by, Some(main));
            assert!(facts.spawned <= facts.started && facts.started <= facts.ended && facts.ended.is_some());
        }
        check(&recording);
    });
}

/// What holds for every recording: turns of a worker follow each other, a fiber is in one turn at a time, and a wake-up is not after
/// its turn.
pub(crate) fn check(recording: &Recording) {
    for worker in 0..recording.workers() {
        let turns: Vec<_> = recording.turns().iter().filter(|turn| turn.worker == worker).collect();
        for pair in turns.windows(2) {
            assert!(pair[0].begin <= pair[0].end && pair[0].end <= pair[1].begin, "{pair:?}");
        }
    }
    for fiber in 0..recording.fibers().len() {
        let turns = turns_of(recording, fiber);
        for pair in turns.windows(2) {
            assert!(pair[0].end <= pair[1].begin, "{pair:?}");
            assert_ne!(pair[0].outcome, Outcome::Ended, "{pair:?}");
        }
    }
    for wakeup in recording.wakeups() {
        if let Some(turn) = wakeup.turn {
            let turn = recording.turns()[turn];
            assert_eq!(turn.fiber, wakeup.fiber);
            assert!(wakeup.at <= turn.begin, "{wakeup:?} {turn:?}");
        }
    }
}

#[test]
fn the_kernel_threads_and_other_workers_are_known_as_wakers() {
    with_both(|recorder| {
        let runtime = on_workers(1, recorder);
        runtime.run(|| {
            let (mut near, mut far) = abaca::net::UnixStream::pair().unwrap();
            let reads = spawn("reads", move || far.read_exact(&mut [0; 3]).unwrap());
            let parks = spawn("parks", abaca::park);
            while abaca::observe::metrics().unwrap().workers[0].fibers < 3 {
                abaca::yield_now();
            }
            near.write_all(b"abc").unwrap();
            let fiber = parks.fiber().clone();
            std::thread::spawn(move || fiber.unpark()).join().unwrap();
            parks.join().unwrap();
            reads.join().unwrap();
        });
        let recording = runtime.recording().unwrap();
        let [reads, parks, main] = ["reads", "parks", "main"].map(|name| named(&recording, name));
        assert_eq!(wakers_of(&recording, parks), [Waker::Thread]);
        let by_kernel = wakers_of(&recording, reads);
        // A poller's thread is a thread like any other.
        assert!(by_kernel == [Waker::Poller] || by_kernel == [Waker::Thread], "{by_kernel:?}");
        let bytes = |fiber, is_read| {
            let of_fiber = |it: &&flight::Transfer| it.fiber == fiber && it.is_read == is_read;
            recording.transfers().iter().filter(of_fiber).map(|it| it.bytes).sum::<u64>()
        };
        assert_eq!((bytes(reads, true), bytes(main, false)), (3, 3));
        check(&recording);
    });
}

#[test]
fn who_is_cancelled_from_outside_is_woken_by_a_thread_and_not_by_who_ended_last() {
    with_both(|recorder| {
        let runtime = on_workers(1, recorder);
        let parks = runtime.run(|| {
            let parks = spawn("parks", abaca::park);
            while abaca::observe::parked() != [("park", 1)] {
                abaca::yield_now();
            }
            parks
        });
        parks.cancel();
        assert!(parks.join().is_err());
        let recording = runtime.recording().unwrap();
        assert_eq!(wakers_of(&recording, named(&recording, "parks")), [Waker::Thread]);
        check(&recording);
    });
}

#[test]
fn a_wake_up_from_worker_to_worker_has_its_waker() {
    with_both(|recorder| {
        let runtime = on_workers(2, recorder);
        runtime.run(|| {
            let (here, there) = (Arc::new(AtomicBool::new(false)), abaca::current());
            let other = spawn("other", {
                let here = Arc::clone(&here);
                move || {
                    here.store(true, SeqCst);
                    there.unpark();
                }
            });
            // This worker is busy, so the other one takes the fiber.
            while !here.load(SeqCst) {
                std::hint::spin_loop();
            }
            abaca::park();
            other.join().unwrap();
        });
        let recording = runtime.recording().unwrap();
        let (main, other) = (named(&recording, "main"), named(&recording, "other"));
        let workers: Vec<_> = [main, other].map(|fiber| turns_of(&recording, fiber)[0].worker).into();
        assert_ne!(workers[0], workers[1]);
        // It may have been woken before it parked: then nobody had to wake it.
        assert!(wakers_of(&recording, main).iter().all(|by| *by == Waker::Fiber(other)));
        let stolen = recording
            .worker_events()
            .iter()
            .any(|it| matches!(it.activity, Activity::Stole(1.., victim) if victim == workers[0]));
        assert!(stolen, "{:?}", recording.worker_events());
        check(&recording);
    });
}

#[test]
fn who_is_joined_on_another_worker_is_the_waker() {
    with_both(|recorder| {
        let runtime = runtime(2, recorder);
        runtime.run(|| {
            let here = Arc::new(AtomicBool::new(false));
            let other = spawn("other", {
                let here = Arc::clone(&here);
                move || {
                    here.store(true, SeqCst);
                    // Only then is its end what wakes.
                    while abaca::observe::parked() != [("join", 1)] {
                        std::hint::spin_loop();
                    }
                }
            });
            while !here.load(SeqCst) {
                std::hint::spin_loop();
            }
            other.join().unwrap();
        });
        let recording = runtime.recording().unwrap();
        let (main, other) = (named(&recording, "main"), named(&recording, "other"));
        assert_eq!(wakers_of(&recording, main), [Waker::Fiber(other)]);
        check(&recording);
    });
}

#[test]
fn marks_and_spans_belong_to_their_fiber() {
    with_both(|recorder| {
        let runtime = runtime(1, recorder);
        runtime.run(|| {
            let work = || {
                let _outer = flight::span("request");
                abaca::yield_now();
                {
                    let _inner = flight::span("query");
                    abaca::yield_now();
                }
                flight::mark("done");
                abaca::observe::set_label("request", 17);
                abaca::yield_now();
            };
            let fibers = [spawn("a", work), spawn("b", work)];
            fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        });
        let recording = runtime.recording().unwrap();
        for name in ["a", "b"] {
            let fiber = named(&recording, name);
            let of_fiber: Vec<_> = recording.notes().iter().filter(|note| note.fiber == fiber).collect();
            let texts: Vec<_> = of_fiber.iter().map(|note| &*note.text).collect();
            assert_eq!(texts, ["request", "query", "done", "request=17"]);
            let [request, query, done, _] = of_fiber[..] else { unreachable!() };
            assert!(request.begin <= query.begin && query.end <= request.end && query.begin < query.end);
            assert!(done.begin == done.end && done.begin >= query.end && done.end <= request.end);
        }
    });
}

#[test]
fn a_ring_that_has_gone_round_keeps_the_last_events() {
    let runtime = runtime(1, Recorder::new().events(64));
    runtime.run(|| {
        let neighbour = spawn("neighbour", || (0..1000).for_each(|_| abaca::yield_now()));
        (0..1000).for_each(|_| abaca::yield_now());
        neighbour.join().unwrap();
    });
    let recording = runtime.recording().unwrap();
    assert!((10..=64).contains(&recording.turns().len()), "{}", recording.turns().len());
    assert!(recording.fibers().len() <= 2);
    check(&recording);
}

#[test]
fn hooks_and_roaming_fibers_are_recorded_as_well() {
    let runtime = Runtime::builder()
        .workers(2)
        .around_park(|park| park())
        .flight_recorder(Recorder::new())
        .build()
        .unwrap();
    runtime.run(|| {
        let builder = abaca::Builder::new().name("roams".into());
        #[expect(unsafe_code, reason = "a fiber that roams")]
        // SAFETY: the fiber has nothing that is bound to a thread.
        let roams = unsafe { builder.spawn_roaming_unchecked(|| (0..10).for_each(|_| abaca::yield_now())) };
        roams.unwrap().join().unwrap();
    });
    let recording = runtime.recording().unwrap();
    let roams = named(&recording, "roams");
    assert_eq!(turns_of(&recording, roams).len(), 11);
    assert_eq!(outcomes(&recording, roams)[10], Outcome::Ended);
    check(&recording);
}

#[test]
fn a_poller_thread_and_eight_workers_say_the_same() {
    with_both(|recorder| {
        let builder = with_shared_storage().workers(8).poller(abaca::runtime::Poller::Thread);
        let runtime = builder.flight_recorder(recorder).build().unwrap();
        const BYTES: usize = 5;
        runtime.run(|| {
            let pairs: Vec<_> = (0..16)
                .map(|number| {
                    let (mut near, mut far) = abaca::net::UnixStream::pair().unwrap();
                    let reader = spawn(&format!("reads {number}"), move || {
                        (0..BYTES).for_each(|_| far.read_exact(&mut [0]).unwrap());
                    });
                    let writer = spawn("writes", move || {
                        for _ in 0..BYTES {
                            near.write_all(b"x").unwrap();
                            abaca::sleep(Duration::from_micros(50));
                        }
                    });
                    [reader, writer]
                })
                .collect();
            pairs.into_iter().flatten().for_each(|fiber| fiber.join().unwrap());
        });
        let recording = runtime.recording().unwrap();
        check(&recording);
        for number in 0..16 {
            let fiber = named(&recording, &format!("reads {number}"));
            let of_fiber = |it: &&flight::Transfer| it.fiber == fiber && it.is_read;
            assert_eq!(
                recording.transfers().iter().filter(of_fiber).map(|it| it.bytes).sum::<u64>(),
                BYTES as u64
            );
            assert_eq!(outcomes(&recording, fiber).last(), Some(&Outcome::Ended));
            // The poller's thread is one like any other. Another worker is not: nobody else wakes a reader.
            assert!(wakers_of(&recording, fiber).iter().all(|by| *by == Waker::Thread), "{recording:?}");
        }
    });
}

#[test]
fn a_fiber_that_waits_since_before_the_events_is_known_with_its_wait() {
    let runtime = runtime(1, Recorder::new().events(64));
    let waits = runtime.spawn(|| _ = abaca::Builder::new().name("forgotten".into()).spawn(abaca::park));
    waits.join().unwrap();
    runtime.run(|| {
        let neighbour = abaca::spawn(|| (0..500).for_each(|_| abaca::yield_now()));
        (0..500).for_each(|_| abaca::yield_now());
        neighbour.join().unwrap();
    });
    let recording = loop {
        let recording = runtime.recording().unwrap();
        // The worker is read from outside, when it does not move.
        if recording.fibers().iter().any(|fiber| fiber.name.as_deref() == Some("forgotten")) {
            break recording;
        }
    };
    let forgotten = named(&recording, "forgotten");
    let fiber = &recording.fibers()[forgotten];
    assert_eq!(fiber.waits.map(|(reason, _)| reason), Some("park"));
    assert!(fiber.waits.unwrap().1 <= recording.end() && fiber.ended.is_none());
    assert!(fiber.spawn_site.as_ref().unwrap().contains("flight.rs:"), "{fiber:?}");
    assert!(turns_of(&recording, forgotten).is_empty(), "its events are gone");
    let mut page = Vec::new();
    recording.write_html(&mut page).unwrap();
    assert!(String::from_utf8(page).unwrap().contains(r#""park","#));
    check(&recording);
}
