//! Every interleaving of a few reads and writes: nobody sleeps forever, and no writer shares.

#![expect(unsafe_code, reason = "loom checks accesses to a cell")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::RawRwLock;

struct Guarded {
    lock: RawRwLock,
    /// Loom reports a writer beside any other holder as a race on this cell.
    writes: UnsafeCell<u32>,
}

impl Guarded {
    fn write(&self) {
        self.lock.write();
        // SAFETY: the lock makes this exclusive, which is the property under test.
        self.writes.with_mut(|writes| unsafe { *writes += 1 });
        self.lock.unlock_write();
    }

    fn read(&self) -> u32 {
        self.lock.read();
        // SAFETY: the lock excludes writers, which is the property under test.
        let writes = self.writes.with(|writes| unsafe { *writes });
        self.lock.unlock_read();
        writes
    }

    fn write_and_downgrade(&self) {
        self.lock.write();
        // SAFETY: as in `write`.
        self.writes.with_mut(|writes| unsafe { *writes += 1 });
        self.lock.downgrade();
        // SAFETY: as in `read`.
        assert_ne!(self.writes.with(|writes| unsafe { *writes }), 0);
        self.lock.unlock_read();
    }
}

fn check(preemptions: usize, writes: u32, bodies: &'static [fn(&Guarded)]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let guarded = Arc::new(Guarded { lock: RawRwLock::new(), writes: UnsafeCell::new(0) });
        let others: Vec<_> = bodies[1..]
            .iter()
            .map(|body| {
                let guarded = Arc::clone(&guarded);
                thread::spawn(move || body(&guarded))
            })
            .collect();
        bodies[0](&guarded);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(guarded.read(), writes);
        // At most a stale hint may be left, never a holder.
        assert!(guarded.lock.try_write());
        guarded.lock.unlock_write();
    });
}

#[test]
fn two_writers_exclude_each_other_and_end() {
    check(3, 4, &[|g| (0..2).for_each(|_| g.write()), |g| (0..2).for_each(|_| g.write())]);
}

#[test]
fn a_reader_and_a_writer_exclude_each_other_and_end() {
    check(3, 2, &[|g| (0..2).for_each(|_| g.write()), |g| (0..2).for_each(|_| drop(g.read()))]);
}

#[test]
fn two_readers_and_a_writer_end() {
    check(2, 1, &[|g| g.write(), |g| drop(g.read()), |g| drop(g.read())]);
}

#[test]
fn two_writers_and_a_reader_end() {
    check(2, 2, &[|g| g.write(), |g| g.write(), |g| drop(g.read())]);
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    check(2, 2, &[|g| g.write_and_downgrade(), |g| drop(g.read()), |g| g.write()]);
}

#[test]
fn a_woken_writer_and_a_starving_one_both_get_past_readers() {
    check(2, 2, &[|g| (0..2).for_each(|_| drop(g.read())), |g| g.write(), |g| g.write()]);
}
