//! A deadlock of all fibers ends `run`, and never anything else; one of some fibers is found by `check`.

use std::sync::Arc;
use std::time::Duration;

use abaca::sync::Mutex;

use super::child::{self, stderr};

#[test]
fn cycles_of_each_kind_are_found_among_some_fibers() {
    // In a child, since cycles are those of the process, and other tests look as well.
    let output = child::run("cycles");
    assert!(output.status.success(), "{}", stderr(&output));
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
    let roles = [
        "cycle",
        "joins",
        "channels",
        "park",
        "channel",
        "no stalls",
        "thread poller",
        "after sockets and children",
        "observed",
        "dumped at SIGQUIT",
        "compacting",
        "with an orphan",
        "after a thread",
        "after another runtime",
        "with idle sockets",
        "after a thread has dropped a socket",
        "after a call that nobody waits for",
    ];
    let children = roles.map(|role| (role, std::thread::spawn(move || child::run(role))));
    for (role, child) in children {
        let output = child.join().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(101), "{role}: {text}");
        assert!(text.contains("all waiting, and nothing can wake one"), "{role}: {text}");
        let panic = text.split("panicked at").nth(1).expect("it panics");
        let parts: &[&str] = match role {
            "cycle" => &["'deadly true' waits", "'deadly false' waits", "which fiber"],
            "joins" => &["'first' joins fiber", "'second' joins fiber"],
            "channels" => {
                &["'ping' waits in a channel receive, and fiber", "'pong' waits in", "has another end"]
            }
            "park" => &["fiber 1 'main' [park, "],
            "channel" => &["fiber 1 'main' [channel receive, ", "with 1 sender"],
            _ => &[],
        };
        assert!(parts.iter().all(|part| panic.contains(part)), "{role}: {text}");
        assert!(role != "cycle" || text.contains("[join"), "all fibers are shown: {text}");
    }
}

#[test]
fn what_something_outside_will_wake_is_no_deadlock() {
    let roles = [
        "sleep",
        "timeout",
        "thread",
        "blocking",
        "pipe",
        "pipe among idle sockets",
        "child",
        "signal",
        "other runtime",
    ];
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
