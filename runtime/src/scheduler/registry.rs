//! The list of the process's runtimes, for those who look at it from outside.

#![expect(unsafe_code, reason = "a list that a debugger can follow")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, MutexGuard, Weak};

use super::roaming::RoamingList;
use super::shared::Shared;
use crate::os::fork::PerProcess;

/// An entry. A debugger follows it: `shared` is where it looks.
#[derive(Debug)]
#[repr(C)]
struct Entry {
    shared: *const Shared,
    next: *mut Entry,
    weak: Weak<Shared>,
}

/// Where a debugger finds the first entry, and in an entry the runtime and the next one; in a runtime its workers and the first
/// of its roaming fibers.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RegistryLayout {
    first: &'static AtomicPtr<Entry>,
    offsets: [usize; 4],
}

pub(crate) const LAYOUT: RegistryLayout = RegistryLayout {
    first: &FIRST,
    offsets: [
        std::mem::offset_of!(Entry, shared),
        std::mem::offset_of!(Entry, next),
        std::mem::offset_of!(Shared, workers),
        std::mem::offset_of!(Shared, roaming) + RoamingList::FIRST,
    ],
};

/// The newest entry. Written with the lock held.
static FIRST: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

static LOCK: PerProcess<()> = PerProcess::new(|| ());

fn lock() -> MutexGuard<'static, ()> {
    LOCK.lock()
}

/// Adds a runtime.
pub(super) fn add(shared: &Arc<Shared>) {
    let _lock = lock();
    let entry = Entry {
        shared: Arc::as_ptr(shared),
        next: FIRST.load(Ordering::Relaxed),
        weak: Arc::downgrade(shared),
    };
    FIRST.store(Box::into_raw(Box::new(entry)), Ordering::Relaxed);
}

/// Removes a runtime, which is being dropped.
pub(super) fn remove(shared: &Shared) {
    let _lock = lock();
    let mut place = FIRST.as_ptr();
    // SAFETY: the lock is held, and the entries of the list are alive until they are taken out here.
    unsafe {
        while let Some(entry) = (*place).as_mut() {
            if ptr::eq(entry.shared, shared) {
                *place = entry.next;
                drop(Box::from_raw(entry));
                return;
            }
            place = &raw mut entry.next;
        }
    }
}

/// The runtimes of the process, oldest first; in a copy by fork(2), not those of its parent.
pub(crate) fn all() -> Vec<Arc<Shared>> {
    let lock = lock();
    let mut found: Vec<Arc<Shared>> = Vec::new();
    let mut at = FIRST.load(Ordering::Relaxed);
    // SAFETY: as in `remove`.
    while let Some(entry) = unsafe { at.as_ref() } {
        found.extend(entry.weak.upgrade());
        at = entry.next;
    }
    // The last handle of a runtime may be dropped below, which takes the lock.
    drop(lock);
    found.retain(|shared| !shared.is_elsewhere());
    found.reverse();
    found
}
