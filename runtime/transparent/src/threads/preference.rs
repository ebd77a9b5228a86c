//! Locks of the kind PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP, which no reader takes while somebody waits to write.
//!
//! A writer that sleeps in the table is not in libc's word. So writers of this kind are *announced* in the lock while they wait, from
//! before their first sleep until they have the lock or give up, and a reader that finds one announced is refused as by a held lock. Plain
//! threads take such locks in the same way: who waits in libc sees nobody who waits here.
//!
//! A reader that was refused sleeps until the lock is released, by the announced writer at the latest. A writer that gives up wakes
//! the readers: it may have been the only reason why they sleep.

#![expect(unsafe_code, reason = "looks into locks of libc's")]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

use abaca::hook;
use libc::{pthread_rwlock_t, pthread_rwlockattr_t};

use super::acquire::{READERS, beside_rwlock};
use super::observed::Observed;

/// The word of a lock that libc leaves alone, `__pad3` in `bits/struct_rwlock.h`, which programs are compiled with. It begins as zero.
const UNUSED: usize = 4;

const _: () = assert!((UNUSED + 1) * 4 <= size_of::<pthread_rwlock_t>());

/// How many wait to write.
///
/// # Safety
///
/// The lock is initialised, and stays for as long as the result is used.
unsafe fn count<'a>(lock: *mut pthread_rwlock_t) -> &'a AtomicU32 {
    // SAFETY: the word is within the lock, and nobody else uses it; the caller's promise.
    unsafe { AtomicU32::from_ptr(lock.cast::<u32>().add(UNUSED)) }
}

/// A writer that waits.
pub(super) struct Announced(*mut pthread_rwlock_t);

impl Announced {
    /// # Safety
    ///
    /// The lock is initialised, and stays for as long as the result.
    pub(super) unsafe fn new(lock: *mut pthread_rwlock_t) -> Self {
        // SeqCst: a reader that attempts later is refused.
        // SAFETY: the caller's promise.
        unsafe { count(lock) }.fetch_add(1, Ordering::SeqCst);
        Self(lock)
    }

    /// The writer does without the lock.
    pub(super) fn give_up(self) {
        let readers = beside_rwlock(self.0);
        drop(self);
        // A reader that has seen it announced sleeps by now, or attempts again: both look under the table's lock.
        hook::wake_at(readers, READERS, usize::MAX);
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // SAFETY: the promise of `new`.
        unsafe { count(self.0) }.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether somebody waits to write, and no reader is to take the lock.
///
/// # Safety
///
/// The lock is initialised.
pub(super) unsafe fn refuses_readers(lock: *mut pthread_rwlock_t) -> bool {
    // SAFETY: the caller's promise. Only locks of this kind are announced.
    unsafe { count(lock) }.load(Ordering::SeqCst) != 0
}

unsafe extern "C" {
    fn pthread_rwlockattr_setkind_np(attributes: *mut pthread_rwlockattr_t, kind: c_int) -> c_int;
}

const PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP: c_int = 2;

/// Whether the lock is of the kind.
///
/// # Safety
///
/// The lock is initialised.
pub(super) unsafe fn prefers_writers(lock: *mut pthread_rwlock_t) -> bool {
    static PREFERS: Observed = Observed::new();
    let init = |lock: *mut pthread_rwlock_t, prefers| {
        let mut attributes = MaybeUninit::<pthread_rwlockattr_t>::uninit();
        // SAFETY: initialises locals.
        unsafe {
            libc::pthread_rwlockattr_init(attributes.as_mut_ptr());
            if prefers {
                pthread_rwlockattr_setkind_np(
                    attributes.as_mut_ptr(),
                    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP,
                );
            }
            libc::pthread_rwlock_init(lock, attributes.as_ptr());
            libc::pthread_rwlockattr_destroy(attributes.as_mut_ptr());
        }
    };
    // SAFETY: the caller's promise.
    unsafe { PREFERS.is_in(lock, init) }
}
