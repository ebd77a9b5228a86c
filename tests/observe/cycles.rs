//! Cycles among some fibers of a process, which this process has to itself.

use std::sync::Arc;

use abaca::observe::check;
use abaca::sync::{Barrier, Condvar, Mutex, Once, OnceLock, RwLock, Semaphore};

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

        // Whatever an initialiser does counts as the lock's.
        let cell = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&cell);
        find_in("once", 1, abaca::spawn(move || _ = cell.get_or_init(|| *theirs.get_or_init(|| 1))));

        // A scope, whose fibers its body waits for: one of them wants the body's lock, the others end.
        let text = find_in(
            "waits for the end of its scope",
            2,
            abaca::spawn(|| {
                let lock = Mutex::new(());
                let _held = lock.lock().unwrap();
                abaca::scope(|scope| {
                    (0..3).for_each(|_| drop(scope.spawn(|| ())));
                    scope.spawn(|| drop(lock.lock()));
                });
            }),
        );
        assert!(text.contains("waits for the mutex"), "{text}");

        // Three in a ring, by way of a lock, a writer and a join.
        find_in(
            "joins fiber",
            3,
            abaca::spawn(|| {
                let (mutex, lock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
                let is_locked = Arc::new(Barrier::new(2));
                let _held = mutex.lock().unwrap();
                let writer = abaca::spawn({
                    let (mutex, lock, is_locked) =
                        (Arc::clone(&mutex), Arc::clone(&lock), Arc::clone(&is_locked));
                    move || {
                        let _held = lock.write().unwrap();
                        is_locked.wait();
                        drop(mutex.lock());
                    }
                });
                is_locked.wait();
                let reader = abaca::spawn(move || drop(lock.read()));
                let _ = reader.join();
                drop(writer);
            }),
        );
        none_where_the_holder_is_not_known();
    });
}

/// Finds a circle of so many fibers, one of which is this one, and ends it. Returns what is said of it.
fn find_in(text: &str, count: usize, fiber: abaca::JoinHandle<()>) -> String {
    let cycle = check_until_found();
    assert_eq!(cycle.fibers().count(), count, "{cycle}");
    assert!(cycle.fibers().any(|id| id == fiber.fiber().id()), "{cycle}");
    assert!(cycle.to_string().contains(text), "{cycle}");
    fiber.cancel();
    drop(fiber.join());
    while !check().is_empty() {
        abaca::yield_now();
    }
    cycle.to_string()
}

/// A permit, a reader's lock, a notification, the last one at a barrier and the members of a select belong to nobody in particular. A
/// circle through one of them is none that is certain: whoever has it may be another one.
fn none_where_the_holder_is_not_known() {
    let (semaphore, lock) = (Arc::new(Semaphore::new(1)), Arc::new(RwLock::new(())));
    let pair = Arc::new((Mutex::new(()), Condvar::new()));
    let fibers: [abaca::JoinHandle<()>; 4] = [
        abaca::spawn(move || {
            let _first = semaphore.acquire();
            drop(semaphore.acquire());
        }),
        abaca::spawn(move || {
            let _first = lock.read().unwrap();
            drop(lock.write());
        }),
        abaca::spawn(move || drop(pair.1.wait(pair.0.lock().unwrap()))),
        abaca::spawn(|| _ = Barrier::new(2).wait()),
    ];
    let ids: Vec<_> = fibers.iter().map(|fiber| fiber.fiber().id()).collect();
    let waits = |seen: &&abaca::observe::FiberDump| {
        seen.wait().is_some() && seen.id().is_some_and(|id| ids.contains(&id))
    };
    let dump = loop {
        let dump = abaca::dump();
        if dump.fibers().iter().filter(waits).count() == fibers.len() {
            break dump;
        }
        abaca::yield_now();
    };
    assert!(dump.cycles().is_empty(), "{dump}");
    for reason in ["semaphore", "reader-writer lock", "condition variable", "barrier"] {
        let is = |fiber: &abaca::observe::FiberDump| fiber.wait().is_some_and(|wait| wait.reason() == reason);
        assert!(dump.fibers().iter().any(is), "{reason} in {dump}");
    }
    fibers.iter().for_each(|fiber| fiber.cancel());
    fibers.into_iter().for_each(|fiber| drop(fiber.join()));
}
