//! What is seen from outside of fibers with storage of their own, also of those that their worker has left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::observe::flight::{Outcome, Recorder, Recording};
use abaca::observe::{FiberDump, FiberState};

use crate::hogs::{block_until, hog_until, tick};

fn named(recording: &Recording, name: &str) -> usize {
    let is = |fiber: &abaca::observe::flight::Fiber| fiber.name.as_deref() == Some(name);
    recording.fibers().iter().position(is).unwrap_or_else(|| panic!("{name} in {:?}", recording.fibers()))
}

#[test]
fn recordings_and_dumps_show_fibers_that_keep_their_thread_and_those_beside_them() {
    for workers in [1, 2, 8] {
        let builder = Runtime::builder().own_tls(true).workers(workers).flight_recorder(Recorder::new());
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
