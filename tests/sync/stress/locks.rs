//! Locks under stress: a writer is alone, readers see complete values, and a wait that is cut short leaves no poison.

use std::sync::TryLockError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use abaca::sync::{Mutex, RwLock, RwLockWriteGuard};
use abaca_tests::{patiently, storm};

/// The guard, if the lock was free.
fn if_free<T>(result: Result<T, TryLockError<T>>) -> Option<T> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(_)) => panic!("nobody panics"),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Who is in the critical section, and how many have been.
#[derive(Default)]
struct Section {
    writers: AtomicUsize,
    readers: AtomicUsize,
    written: AtomicU64,
}

struct Writing<'a>(&'a Section);

struct Reading<'a>(&'a Section);

impl Section {
    fn write(&self) -> Writing<'_> {
        assert_eq!(self.writers.fetch_add(1, SeqCst), 0, "there is another writer");
        assert_eq!(self.readers.load(SeqCst), 0, "there is a reader");
        self.written.fetch_add(1, SeqCst);
        Writing(self)
    }

    fn read(&self) -> Reading<'_> {
        self.readers.fetch_add(1, SeqCst);
        assert_eq!(self.writers.load(SeqCst), 0, "there is a writer");
        Reading(self)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writers.fetch_sub(1, SeqCst);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, SeqCst);
    }
}

#[test]
fn a_mutex_admits_one_although_waits_are_cut_short() {
    let (mutex, section) = (Mutex::new(0_u64), Section::default());
    storm(1_500, |stream| {
        let guard = match stream.choices.below(4) {
            0 => if_free(mutex.try_lock()),
            1 => Some(patiently(|| mutex.lock().unwrap())),
            _ => stream.briefly(|| mutex.lock().unwrap()),
        };
        if let Some(mut guard) = guard {
            let _writing = section.write();
            *guard += 1;
            stream.linger();
        }
    });
    let count = if_free(mutex.try_lock()).map(|guard| *guard);
    assert_eq!(count, Some(section.written.into_inner()), "the mutex is free");
}

#[test]
fn a_readers_writer_lock_admits_one_writer_or_readers_although_waits_are_cut_short() {
    let (lock, section) = (RwLock::new((0_u64, 0_u64)), Section::default());
    storm(1_500, |stream| {
        if stream.choices.once_in(3) {
            let guard = match stream.choices.below(4) {
                0 => if_free(lock.try_write()),
                1 => Some(patiently(|| lock.write().unwrap())),
                _ => stream.briefly(|| lock.write().unwrap()),
            };
            let Some(mut guard) = guard else { return };
            let writing = section.write();
            guard.0 += 1;
            guard.1 += 1;
            stream.linger();
            if stream.choices.once_in(4) {
                drop(writing);
                let guard = RwLockWriteGuard::downgrade(guard);
                let _reading = section.read();
                stream.linger();
                assert_eq!(guard.0, guard.1);
            }
        } else {
            let guard = match stream.choices.below(4) {
                0 => if_free(lock.try_read()),
                1 => Some(patiently(|| lock.read().unwrap())),
                _ => stream.briefly(|| lock.read().unwrap()),
            };
            let Some(guard) = guard else { return };
            let _reading = section.read();
            let before = guard.0;
            stream.linger();
            assert_eq!((before, before), *guard);
        }
    });
    let count = if_free(lock.try_write()).map(|guard| *guard);
    let written = section.written.into_inner();
    assert_eq!(count, Some((written, written)), "the lock is free");
}
