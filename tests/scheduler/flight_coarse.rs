//! The flight recorder as it is by default: which turns there were and in which order, whoever ends, starts and writes meanwhile.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use abaca::net::UnixStream;
use abaca::observe::Frame;
use abaca::observe::flight::{self, Activity, Outcome, Recorder, Recording, Waker};
use abaca::runtime::Poller;
use abaca::{Builder, Runtime};
use abaca_tests::with_shared_storage;

use crate::flight::{check, named, runtime, spawn, turns_of};

fn coarse(workers: usize) -> Runtime {
    runtime(workers, Recorder::coarse())
}

fn outcomes(recording: &Recording, name: &str) -> Vec<Outcome> {
    turns_of(recording, named(recording, name)).iter().map(|turn| turn.outcome).collect()
}

#[test]
fn a_runtime_that_is_told_nothing_has_a_coarse_recording_and_one_that_is_told_so_has_none() {
    if std::env::var_os("ABACA_RECORDER").is_none() {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| spawn("child", || ()).join().unwrap());
        let recording = runtime.recording().unwrap();
        assert!(recording.is_coarse());
        assert_eq!(outcomes(&recording, "child"), [Outcome::Ended]);
    }
    let off = runtime(1, Recorder::off());
    off.run(|| {
        flight::mark("nobody notes it");
        spawn("child", || ()).join().unwrap();
    });
    assert!(off.recording().is_none());
    assert!(flight::recording().is_none(), "this is a plain thread");
    assert!(!runtime(1, Recorder::new()).recording().unwrap().is_coarse());
}

#[test]
fn what_is_on_by_default_tells_of_an_echo_who_woke_whom_how_much_was_moved_and_where_it_waits() {
    const MESSAGES: usize = 50;
    let builder = with_shared_storage().workers(1).poller(Poller::Workers);
    let runtime = builder.flight_recorder(Recorder::coarse()).build().unwrap();
    let recording = runtime.run(|| {
        let (mut client, server) = UnixStream::pair().unwrap();
        let (mut answers, requests) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let server = spawn("server", move || serves(server, requests));
        let client_fiber = spawn("client", move || {
            abaca::observe::set_label("role", "client");
            for _ in 0..MESSAGES {
                client.write_all(b"ping").unwrap();
                answers.read_exact(&mut [0; 4]).unwrap();
            }
            abaca::sleep(Duration::from_millis(1));
            abaca::park();
        });
        while abaca::observe::parked() != [("park", 1), ("read", 1)] {
            abaca::yield_now();
        }
        let recording = flight::recording().unwrap();
        client_fiber.fiber().unpark();
        client_fiber.join().unwrap();
        server.join().unwrap();
        recording
    });
    check(&recording);
    let [main, client, server] = ["main", "client", "server"].map(|name| named(&recording, name));
    let moved = |fiber, is_read| {
        let of_fiber = |it: &&flight::Transfer| it.fiber == fiber && it.is_read == is_read;
        recording.transfers().iter().filter(of_fiber).map(|it| it.bytes).collect::<Vec<_>>()
    };
    for (fiber, is_read) in [(client, false), (client, true), (server, false), (server, true)] {
        let moved = moved(fiber, is_read);
        assert!(moved.iter().sum::<u64>() == 4 * MESSAGES as u64, "{moved:?}");
        assert!(moved.iter().all(|bytes| *bytes <= 8), "each turn has its own: {moved:?}");
    }
    let wakeups = recording.wakeups();
    let wakers =
        |fiber| wakeups.iter().filter(move |it| it.fiber == fiber).map(|it| it.by).collect::<Vec<_>>();
    assert!(wakers(server).iter().all(|by| *by == Waker::Poller) && wakers(server).len() >= MESSAGES / 2);
    assert_eq!(wakers(client).iter().filter(|by| **by == Waker::Timer).count(), 1);
    assert!(wakeups.iter().all(|it| it.turn.is_some()), "{wakeups:?}");
    let polled = |event: &&flight::WorkerEvent| matches!(event.activity, Activity::Polled(1..));
    let polls = recording.worker_events().iter().filter(polled).count();
    assert!(polls >= MESSAGES / 2, "no two messages are there at once: {polls}");
    for fiber in [client, server] {
        assert_eq!(recording.fibers()[fiber].spawned_by, Some(main));
    }
    assert!(recording.notes().iter().any(|note| note.fiber == client && note.text == "role=client"));
    // Where they wait.
    for (fiber, reason, function) in [(server, "read", "serves"), (client, "park", "park")] {
        let facts = &recording.fibers()[fiber];
        assert_eq!(facts.waits.map(|(reason, _)| reason), Some(reason));
        assert_eq!(turns_of(&recording, fiber).last().unwrap().stack, facts.stack);
        if cfg!(any(abaca_asan, abaca_tsan)) {
            // Beside a sanitizer no stack is walked from outside.
            assert_eq!(facts.stack, None);
            continue;
        }
        let frames = recording.stacks()[facts.stack.expect("it waits")].frames();
        let is_in = |frame: &Frame| frame.function().is_some_and(|it| it.contains(function));
        assert!(frames.iter().any(is_in), "{frames:?}");
    }
}

#[inline(never)]
fn serves(mut requests: UnixStream, mut answers: UnixStream) {
    let mut buffer = [0; 8];
    while let Ok(length @ 1..) = requests.read(&mut buffer) {
        answers.write_all(&buffer[..length]).unwrap();
    }
}

#[test]
fn a_long_sleep_of_a_worker_is_in_the_log() {
    let runtime = coarse(1);
    // Another one, if a sleep was over before the worker slept.
    let recording = loop {
        runtime.run(|| abaca::sleep(Duration::from_millis(25)));
        let recording = runtime.recording().unwrap();
        let slept = |it: &flight::WorkerEvent| matches!(it.activity, Activity::Slept(_));
        if recording.worker_events().iter().any(slept) {
            break recording;
        }
    };
    check(&recording);
}

#[test]
fn the_order_of_turns_is_exact() {
    let runtime = coarse(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    runtime.run(|| {
        let body = |name: &'static str| {
            let order = Arc::clone(&order);
            move || {
                for _ in 0..200 {
                    order.lock().unwrap().push(name);
                    abaca::yield_now();
                }
            }
        };
        let fibers = ["a", "b", "c"].map(|name| spawn(name, body(name)));
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    let recording = runtime.recording().unwrap();
    let name = |turn: &flight::Turn| recording.fibers()[turn.fiber].name.as_deref();
    let yielded = recording.turns().iter().filter(|turn| turn.outcome == Outcome::Yielded);
    let names: Vec<_> = yielded.filter_map(name).filter(|name| *name != "main").collect();
    assert_eq!(names, *order.lock().unwrap());
}

#[test]
fn marks_and_spans_belong_to_their_turns_and_long_texts_are_cut_off() {
    let runtime = coarse(1);
    let long = "0123456789".repeat(10);
    runtime.run({
        let long = long.clone();
        move || {
            let work = move || {
                let _outer = flight::span("request");
                abaca::yield_now();
                flight::mark(&long);
                abaca::observe::set_label("request", 17);
                abaca::yield_now();
            };
            let fibers = [spawn("a", work.clone()), spawn("b", work)];
            fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        }
    });
    let recording = runtime.recording().unwrap();
    for name in ["a", "b"] {
        let fiber = named(&recording, name);
        let of_fiber: Vec<_> = recording.notes().iter().filter(|note| note.fiber == fiber).collect();
        let texts: Vec<_> = of_fiber.iter().map(|note| &*note.text).collect();
        assert_eq!(texts, ["request", &long[..64], "request=17"]);
        let turns = turns_of(&recording, fiber);
        assert!(turns[0].begin <= of_fiber[0].begin && of_fiber[0].begin <= turns[0].end);
        assert!(turns[1].begin <= of_fiber[1].begin && of_fiber[1].begin <= turns[1].end);
        assert!(of_fiber[0].end >= turns[2].begin, "the span ends in the last turn");
    }
    check(&recording);
}

#[test]
fn a_log_that_has_gone_round_has_the_last_turns_and_who_is_there() {
    // Were the worker to leave the caller while that asks, the others would fill the log.
    let builder = abaca_tests::with_workers_on_their_threads().workers(1);
    let runtime = builder.flight_recorder(Recorder::coarse().events(64)).build().unwrap();
    let recording = runtime.run(|| {
        let waits = spawn("waits", abaca::park);
        let neighbour = spawn("neighbour", || (0..1000).for_each(|_| abaca::yield_now()));
        (0..1000).for_each(|_| abaca::yield_now());
        let recording = flight::recording().unwrap();
        waits.fiber().unpark();
        [waits, neighbour].into_iter().for_each(|fiber| fiber.join().unwrap());
        recording
    });
    assert!((50..=64).contains(&recording.turns().len()), "{}", recording.turns().len());
    // The caller stands still while it asks.
    let waits = &recording.fibers()[named(&recording, "waits")];
    assert_eq!(waits.waits.map(|(reason, _)| reason), Some("park"));
    assert!(waits.started.is_none(), "nobody knows when");
    for name in ["main", "neighbour"] {
        assert!(turns_of(&recording, named(&recording, name)).len() > 20);
    }
    assert_eq!(recording.fibers().len(), 3);
    check(&recording);
}

#[test]
fn cells_that_are_used_again_are_different_fibers() {
    let runtime = coarse(1);
    runtime.run(|| {
        for number in 0..500 {
            let child = Builder::new().name(format!("child {number}")).spawn(abaca::yield_now);
            child.unwrap().join().unwrap();
        }
    });
    let recording = runtime.recording().unwrap();
    for number in 0..500 {
        assert_eq!(outcomes(&recording, &format!("child {number}")), [Outcome::Yielded, Outcome::Ended]);
    }
    check(&recording);
}

#[test]
fn fibers_of_a_busy_worker_have_names() {
    let runtime = coarse(2);
    let stop = Arc::new(AtomicBool::new(false));
    let (send, started) = std::sync::mpsc::channel();
    let busy: Vec<_> = (0..2)
        .map(|number| {
            let (stop, send) = (Arc::clone(&stop), send.clone());
            let body = move || {
                send.send(()).unwrap();
                while !stop.load(SeqCst) {
                    abaca::yield_now();
                }
            };
            runtime.spawn(move || spawn(&format!("busy {number}"), body).join().unwrap())
        })
        .collect();
    (0..2).for_each(|_| started.recv().unwrap());
    // A look may find one of them in between; sooner or later both are seen.
    loop {
        let recording = runtime.recording().unwrap();
        let is_there = |name: &str| recording.fibers().iter().any(|it| it.name.as_deref() == Some(name));
        if is_there("busy 0") && is_there("busy 1") {
            break;
        }
    }
    stop.store(true, SeqCst);
    busy.into_iter().for_each(|fiber| fiber.join().unwrap());
}

#[test]
fn hooks_and_roaming_fibers_are_in_the_log_as_well() {
    let runtime = Runtime::builder()
        .workers(2)
        .around_park(|park| park())
        .flight_recorder(Recorder::coarse())
        .build()
        .unwrap();
    runtime.run(|| {
        let builder = Builder::new().name("roams".into());
        #[expect(unsafe_code, reason = "a fiber that roams")]
        // SAFETY: the fiber has nothing that is bound to a thread.
        let roams = unsafe { builder.spawn_roaming_unchecked(|| (0..10).for_each(|_| abaca::yield_now())) };
        roams.unwrap().join().unwrap();
    });
    let recording = runtime.recording().unwrap();
    let main = named(&recording, "main");
    let of_others: Vec<_> = recording.turns().iter().filter(|turn| turn.fiber != main).collect();
    assert_eq!(of_others.len(), 11, "{recording:?}");
    assert_eq!(of_others.iter().filter(|turn| turn.outcome == Outcome::Ended).count(), 1);
}

#[test]
fn a_hog_is_as_long_as_the_monitor_saw_it_and_its_neighbours_are_not() {
    let (told, reports) = std::sync::mpsc::channel();
    // A worker that left its thread would run the others, and nobody would wait for the hog.
    let builder = abaca_tests::with_workers_on_their_threads().workers(1).flight_recorder(Recorder::coarse());
    let builder = builder.stall_threshold(Duration::from_millis(20)).on_stall(move |stall| {
        let _ = told.send(stall.elapsed());
    });
    let runtime = builder.build().unwrap();
    let elapsed = runtime.run(move || {
        // Somebody must wait for the worker. They have their turns in the same tick as the hog.
        let neighbours: Vec<_> = (0..4).map(|_| spawn("neighbour", || ())).collect();
        let hog = abaca::Builder::new().name("hog".into()).spawn(move || {
            loop {
                match reports.try_recv() {
                    Ok(elapsed) => break elapsed,
                    Err(_) => std::hint::spin_loop(),
                }
            }
        });
        let elapsed = hog.unwrap().join().unwrap();
        neighbours.into_iter().for_each(|fiber| fiber.join().unwrap());
        elapsed
    });
    let recording = runtime.recording().unwrap();
    let [turn] = turns_of(&recording, named(&recording, "hog"))[..] else { panic!("{recording:?}") };
    // Two clocks, one of which is counted in ticks.
    assert!(turn.end - turn.begin >= elapsed * 9 / 10, "{turn:?} {elapsed:?}");
    check(&recording);
}

#[test]
fn a_panic_and_a_missed_deadline_are_marked() {
    let runtime = coarse(1);
    runtime.run(|| {
        assert!(spawn("panics", || std::panic::panic_any(())).join().is_err());
        let late = || assert!(abaca::time::timeout(Duration::from_millis(1), abaca::park).is_err());
        spawn("late", late).join().unwrap();
    });
    let recording = runtime.recording().unwrap();
    for (name, text) in [("panics", "panic"), ("late", "missed deadline")] {
        let fiber = named(&recording, name);
        let notes: Vec<_> = recording.notes().iter().filter(|note| note.fiber == fiber).collect();
        assert_eq!(notes.iter().map(|note| &*note.text).collect::<Vec<_>>(), [text]);
    }
}
