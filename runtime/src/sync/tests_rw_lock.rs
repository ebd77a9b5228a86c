//! The count of readers at its limit: a reader beyond it panics, whether it had to wait or not, and no writer gets in.

use std::sync::Arc;
use std::thread;

use super::*;

/// The number of readers that are counted.
fn readers(lock: &RawRwLock) -> u32 {
    lock.word.load(Ordering::Relaxed) / READER
}

#[test]
fn readers_that_waited_are_counted_within_the_limit_as_others() {
    let lock = Arc::new(RawRwLock::new());
    lock.write();
    let waiting = [(); 3].map(|()| {
        let lock = Arc::clone(&lock);
        thread::spawn(move || lock.read())
    });
    while lock.queues.lock().readers.len() < waiting.len() {
        thread::yield_now();
    }
    // As many guards have been forgotten as the count can hold, less one.
    let limit = u32::MAX / READER;
    lock.word.fetch_add((limit - 1) * READER, Ordering::Relaxed);
    lock.unlock_write();
    let ends = waiting.map(thread::JoinHandle::join);
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "there was room for one");
    assert_eq!(readers(&lock), limit);
    assert!(!lock.try_write(), "no writer is let in beside them");
    lock.unlock_read();
    assert!(lock.try_read(), "the others have left nothing behind");
}

#[test]
fn a_reader_beyond_the_limit_panics_instead_of_waiting() {
    let lock = Arc::new(RawRwLock::new());
    lock.word.store(((u32::MAX / READER) * READER) | HANDOFF, Ordering::Relaxed);
    let other = Arc::clone(&lock);
    assert!(thread::spawn(move || other.read()).join().is_err());
    lock.word.fetch_and(!HANDOFF, Ordering::Relaxed);
    let other = Arc::clone(&lock);
    assert!(thread::spawn(move || other.try_read()).join().is_err());
    assert_eq!(readers(&lock), u32::MAX / READER);
}
