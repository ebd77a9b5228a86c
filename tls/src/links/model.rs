//! The list with loom's words: walkers as libc has them, entries that come and go.
#![expect(unsafe_code, reason = "calls the list's operations, and reads what they are to protect")]

use core::ptr::null_mut;

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A record with its entry. The contents are written before it is on the list, and when its memory is used again.
struct Record {
    link: Link,
    contents: UnsafeCell<u32>,
}

impl Record {
    fn new() -> Self {
        let word = || AtomicPtr::new(null_mut());
        Self { link: Link { next: word(), previous: word() }, contents: UnsafeCell::new(0) }
    }

    fn write(&self, value: u32) {
        // SAFETY: loom finds out if anybody else reads or writes meanwhile.
        self.contents.with_mut(|contents| unsafe { *contents = value });
    }
}

struct Process {
    first: Record,
    last: Record,
    ours: [Record; 2],
    /// libc's lock of the list, and ours.
    libc: Mutex<()>,
    own: Mutex<()>,
}

impl Process {
    fn new() -> Self {
        Self {
            first: Record::new(),
            last: Record::new(),
            ours: [Record::new(), Record::new()],
            libc: Mutex::new(()),
            own: Mutex::new(()),
        }
    }

    fn join_ends(&self) {
        let (first, last) = (&self.first.link, &self.last.link);
        first.next.store(core::ptr::from_ref(last).cast_mut(), Ordering::Relaxed);
        last.previous.store(core::ptr::from_ref(first).cast_mut(), Ordering::Relaxed);
    }

    /// As `dlopen` does it: each record that is found is read. Returns how many of ours there were.
    fn walk(&self) -> usize {
        let _locked = self.libc.lock().expect("no panic");
        let mut found = 0;
        // Acquire stands for the order of loads of which one depends on the other, which all processors keep.
        let mut entry = self.first.link.next.load(Ordering::Acquire).cast_const();
        while !core::ptr::eq(entry, &raw const self.last.link) {
            let record = self.ours.iter().find(|record| core::ptr::eq(entry, &raw const record.link));
            let record = record.expect("an entry of ours");
            // SAFETY: loom finds out if anybody writes meanwhile.
            record
                .contents
                .with(|contents| assert_eq!(unsafe { *contents }, 1, "a record that is not there"));
            found += 1;
            entry = record.link.next.load(Ordering::Acquire).cast_const();
        }
        found
    }

    fn come(&self, index: usize) {
        let record = &self.ours[index];
        record.write(1);
        let _locked = self.own.lock().expect("no panic");
        // SAFETY: the lock is held, and the record stays.
        unsafe { self.first.link.put_behind(&record.link) };
    }

    fn go(&self, index: usize) {
        let record = &self.ours[index];
        {
            let _locked = self.own.lock().expect("no panic");
            // SAFETY: the lock is held, and the record was put there.
            unsafe { record.link.take_out() };
        }
        drop(self.libc.lock().expect("no panic"));
        record.write(2);
    }
}

#[test]
fn a_walker_finds_records_that_are_complete_and_there() {
    loom::model(|| {
        let process = Arc::new(Process::new());
        process.join_ends();
        process.come(0);
        let (other, walker) = (process.clone(), process.clone());
        let other = thread::spawn(move || other.go(0));
        let walker = thread::spawn(move || walker.walk());
        process.come(1);
        other.join().expect("no panic");
        assert!(walker.join().expect("no panic") <= 2);
        assert_eq!(process.walk(), 1);
        process.go(1);
        assert_eq!(process.walk(), 0);
    });
}

#[test]
fn a_record_that_stays_is_found_by_each_walk() {
    loom::model(|| {
        let process = Arc::new(Process::new());
        process.join_ends();
        process.come(0);
        process.come(1);
        let walker = process.clone();
        let walker = thread::spawn(move || walker.walk());
        // The one in front goes; the other was there before the walk.
        process.go(1);
        assert!(walker.join().expect("no panic") >= 1);
    });
}
