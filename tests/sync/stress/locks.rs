//! Locks in a storm: a writer is alone, readers see what is whole, and poison comes from who was cut short inside only.

use std::sync::TryLockError;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use abaca::sync::{LockResult, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use abaca_tests::{patiently, storm};

/// The lock, whether or not somebody was cut short while it was held.
fn heal<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// The lock if it was free.
fn heal_now<T>(result: Result<T, TryLockError<T>>) -> Option<T> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Who is in the critical section, and what became of those who were.
#[derive(Default)]
struct Section {
    writers: AtomicUsize,
    readers: AtomicUsize,
    written: AtomicU64,
    /// A writer was cut short inside.
    is_broken: AtomicBool,
}

struct Writing<'a>(&'a Section);

struct Reading<'a>(&'a Section);

impl Section {
    fn write(&self) -> Writing<'_> {
        assert_eq!(self.writers.fetch_add(1, SeqCst), 0, "another one writes");
        assert_eq!(self.readers.load(SeqCst), 0, "somebody reads");
        self.written.fetch_add(1, SeqCst);
        Writing(self)
    }

    fn read(&self) -> Reading<'_> {
        self.readers.fetch_add(1, SeqCst);
        assert_eq!(self.writers.load(SeqCst), 0, "somebody writes");
        Reading(self)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.is_broken.store(true, SeqCst);
        }
        self.0.writers.fetch_sub(1, SeqCst);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, SeqCst);
    }
}

#[test]
fn a_mutex_admits_one_whoever_is_cut_short() {
    let (mutex, section) = (Mutex::new(0_u64), Section::default());
    storm(1_500, |stream| {
        let guard = match stream.choices.below(4) {
            0 => heal_now(mutex.try_lock()),
            1 => Some(patiently(|| heal(mutex.lock()))),
            _ => stream.briefly(|| heal(mutex.lock())),
        };
        if let Some(mut guard) = guard {
            let _writing = section.write();
            *guard += 1;
            stream.linger();
        }
    });
    assert_eq!(mutex.is_poisoned(), section.is_broken.into_inner());
    let count = heal_now(mutex.try_lock()).map(|guard| *guard);
    assert_eq!(count, Some(section.written.into_inner()), "nobody has it any more");
}

#[test]
fn a_readers_writer_lock_admits_one_writer_or_readers_whoever_is_cut_short() {
    let (lock, section) = (RwLock::new((0_u64, 0_u64)), Section::default());
    storm(1_500, |stream| {
        if stream.choices.once_in(3) {
            let guard = match stream.choices.below(4) {
                0 => heal_now(lock.try_write()),
                1 => Some(patiently(|| heal(lock.write()))),
                _ => stream.briefly(|| heal(lock.write())),
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
                0 => heal_now(lock.try_read()),
                1 => Some(patiently(|| heal(lock.read()))),
                _ => stream.briefly(|| heal(lock.read())),
            };
            let Some(guard) = guard else { return };
            let _reading = section.read();
            let before = guard.0;
            stream.linger();
            assert_eq!((before, before), *guard);
        }
    });
    assert_eq!(lock.is_poisoned(), section.is_broken.into_inner());
    let count = heal_now(lock.try_write()).map(|guard| *guard);
    let written = section.written.into_inner();
    assert_eq!(count, Some((written, written)), "nobody has it any more");
}
