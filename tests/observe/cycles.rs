//! Cycles among some fibers of a process, which this process has to itself.

use std::sync::Arc;

use abaca::observe::check;
use abaca::sync::{Once, RwLock};

use super::roles::cross;

fn check_until_found() -> abaca::observe::Cycle {
    loop {
        if let Some(cycle) = check().pop() {
            return cycle;
        }
        abaca::yield_now();
    }
}

/// A cycle of locks, one with a join and a writer, and one of a single fiber.
pub(crate) fn find_each_kind() {
    abaca::run(|| {
        let fibers = cross("locks");
        let cycle = check_until_found();
        let mut ids: Vec<_> = fibers.iter().map(|fiber| fiber.fiber().id()).collect();
        let mut found: Vec<_> = cycle.fibers().collect();
        ids.sort_by_key(|id| format!("{id:?}"));
        found.sort_by_key(|id| format!("{id:?}"));
        assert_eq!(found, ids);
        let text = cycle.to_string();
        assert!(text.contains("waits for the mutex at 0x") && text.contains("roles"), "{text}");
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
