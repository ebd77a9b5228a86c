//! A deadlock of all fibers ends `run`, and never anything else; one of some fibers is found by `check`.

use std::sync::Arc;
use std::time::Duration;

use abaca::observe::check;
use abaca::sync::{Mutex, Once, RwLock};

use super::child::{self, stderr};
use super::roles::cross;

fn check_until_found() -> abaca::observe::Cycle {
    loop {
        if let Some(cycle) = check().pop() {
            return cycle;
        }
        abaca::yield_now();
    }
}

#[test]
fn cycles_of_each_kind_are_found_among_some_fibers() {
    abaca::run(|| {
        let fibers = cross("locks");
        let cycle = check_until_found();
        let mut ids: Vec<_> = fibers.iter().map(|fiber| fiber.fiber().id()).collect();
        let mut found: Vec<_> = cycle.fibers().collect();
        ids.sort_by_key(|id| format!("{id:?}"));
        found.sort_by_key(|id| format!("{id:?}"));
        assert_eq!(found, ids);
        let text = cycle.to_string();
        assert!(text.contains("waits for the mutex at 0x") && text.contains("deadlocks.rs"), "{text}");
        let dump = abaca::dump();
        assert_eq!(dump.cycles(), [cycle]);
        assert!(dump.to_string().contains("DEADLOCK: 2 fibers"), "{dump}");
        fibers.iter().for_each(|fiber| fiber.cancel());
        fibers.into_iter().for_each(|fiber| drop(fiber.join()));
        assert!(check().is_empty());

        // A fiber that joins one that waits for a lock of the first; a writer; a Once that calls itself.
        let lock = Arc::new(RwLock::new(()));
        let theirs = Arc::clone(&lock);
        let joiner = abaca::spawn(move || {
            let _held = theirs.write().unwrap();
            let theirs = Arc::clone(&theirs);
            drop(abaca::spawn(move || drop(theirs.read())).join());
        });
        let text = check_until_found().to_string();
        assert!(text.contains("joins fiber") && text.contains("reader-writer lock"), "{text}");
        joiner.cancel();
        drop(joiner.join());

        let once = Arc::new(Once::new());
        let own = abaca::spawn(move || once.call_once(|| once.call_once(|| ())));
        let cycle = check_until_found();
        assert_eq!(cycle.fibers().collect::<Vec<_>>(), [own.fiber().id()]);
        own.cancel();
        drop(own.join());
    });
}

#[test]
fn what_a_deadline_ends_is_no_cycle() {
    abaca::run(|| {
        let mutex = Mutex::new(());
        let _held = mutex.lock().unwrap();
        let late = abaca::time::timeout(Duration::from_millis(1), || drop(mutex.lock()));
        assert!(late.is_err());
        let shared = Arc::new(Mutex::new(()));
        let fiber = abaca::spawn(move || {
            let _held = shared.lock().unwrap();
            let _ = abaca::time::timeout(Duration::from_secs(3600), || drop(shared.lock()));
        });
        loop {
            let dump = abaca::dump();
            let mut fibers = dump.fibers().iter();
            if fibers.any(|seen| seen.id() == Some(fiber.fiber().id()) && seen.wait().is_some()) {
                assert!(dump.cycles().is_empty(), "{dump}");
                break;
            }
            abaca::yield_now();
        }
        fiber.cancel();
        drop(fiber.join());
    });
}

#[test]
fn run_ends_with_the_cycle_when_nothing_can_wake_a_fiber() {
    for role in ["cycle", "park", "channel", "no stalls", "thread poller", "after sockets and children"] {
        let output = child::run(role);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(101), "{role}: {text}");
        assert!(text.contains("all waiting, and nothing can wake one"), "{role}: {text}");
        if role == "cycle" {
            let panic = text.split("panicked at").nth(1).expect("it panics");
            assert!(panic.contains("'deadly true'") && panic.contains("which fiber"), "{text}");
            assert!(text.contains("[join"), "all fibers are shown: {text}");
        }
    }
}

#[test]
fn what_something_outside_will_wake_is_no_deadlock() {
    let roles = ["sleep", "timeout", "thread", "blocking", "pipe", "signal", "other runtime"];
    let children = roles.map(|role| (role, std::thread::spawn(move || child::run(role))));
    for (role, child) in children {
        let output = child.join().unwrap();
        assert!(output.status.success(), "{role}: {}", stderr(&output));
        assert!(!stderr(&output).contains("deadlock"), "{role}: {}", stderr(&output));
    }
}

#[test]
fn a_deadlock_can_be_reported_and_resolved() {
    let output = child::run("report");
    assert!(output.status.success(), "{}", stderr(&output));
}
