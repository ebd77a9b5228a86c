//! The OS threads that are carriers, by the kernel's id: for a signal's handler, which has to know its thread's own storage whatever
//! block is installed when the signal arrives.
//!
//! A list that only grows, of entries that are used again: reading it takes no lock.
#![expect(unsafe_code, reason = "entries are reached through raw pointers")]

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::pointer::{ThreadPointer, thread_pointer};

struct Entry {
    /// The kernel's id of the thread; 0 if the entry is free.
    tid: AtomicU32,
    /// What the thread's own thread pointer is.
    pointer: AtomicUsize,
    next: *mut Entry,
}

static FIRST: AtomicPtr<Entry> = AtomicPtr::new(null_mut());

/// While it is there, the thread that made it is found.
#[derive(Debug)]
pub(crate) struct Listed(*const Entry);

use crate::arch::thread_id as tid;

fn entries() -> impl Iterator<Item = &'static Entry> {
    // SAFETY: null, or an entry, which stays. Acquire: pairs with the Release in `enter`.
    let first = unsafe { FIRST.load(Ordering::Acquire).as_ref() };
    // SAFETY: as above; `next` was set before the entry was put on the list.
    core::iter::successors(first, |entry| unsafe { entry.next.as_ref() })
}

/// Lists the calling thread, which has its own storage installed.
pub(crate) fn enter() -> Listed {
    let own = thread_pointer().address();
    for entry in entries() {
        // The pointer is written while nobody has this id: readers compare ids first, and the only reader of this id is a handler
        // on this thread.
        if entry.tid.compare_exchange(0, RESERVED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            entry.pointer.store(own, Ordering::Relaxed);
            entry.tid.store(tid(), Ordering::Release);
            return Listed(entry);
        }
    }
    let entry = Box::into_raw(Box::new(Entry {
        tid: AtomicU32::new(tid()),
        pointer: AtomicUsize::new(own),
        next: null_mut(),
    }));
    let mut first = FIRST.load(Ordering::Relaxed);
    loop {
        // SAFETY: the entry is on no list yet.
        unsafe { (*entry).next = first };
        // Release: pairs with the Acquire in `entries`.
        match FIRST.compare_exchange(first, entry, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Listed(entry),
            Err(other) => first = other,
        }
    }
}

/// No thread's id.
const RESERVED: u32 = u32::MAX;

/// The own storage of the calling OS thread, if it is a carrier. For signals' handlers as well.
pub(crate) fn own_storage() -> Option<ThreadPointer> {
    let tid = tid();
    let entry = entries().find(|entry| entry.tid.load(Ordering::Acquire) == tid)?;
    Some(ThreadPointer::from_address(entry.pointer.load(Ordering::Relaxed)))
}

/// Forgets all threads, in a copy of the process by fork(2): they are its parent's, and their ids may come to be those of its own.
pub(crate) fn forget_all() {
    // Relaxed: there is one thread.
    entries().for_each(|entry| entry.tid.store(0, Ordering::Relaxed));
}

impl Drop for Listed {
    fn drop(&mut self) {
        // SAFETY: entries stay. Release: pairs with the Acquire of whoever uses it next.
        unsafe { &*self.0 }.tid.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_found_while_it_is_listed() {
        std::thread::spawn(|| {
            assert_eq!(own_storage(), None);
            let one = enter();
            let other = enter();
            assert_eq!(own_storage(), Some(thread_pointer()));
            drop(one);
            assert_eq!(own_storage(), Some(thread_pointer()));
            assert_eq!(std::thread::spawn(own_storage).join().expect("no panic"), None);
            drop(other);
            assert_eq!(own_storage(), None);
        })
        .join()
        .expect("no panic");
    }
}
