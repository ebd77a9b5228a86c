//! A place of our own in libc's list of threads, between two entries that stay.
//!
//! `dlopen`, `dlclose` and `setuid` walk the list of all threads under a lock of libc's that nobody else can take. libc adds at the head
//! only, and removes what it has added. So between two neighbours that never end it writes nothing:
//!
//! ```text
//! head ─▶ ... ─▶ [first] ─▶ ours ─▶ ours ─▶ [last] ─▶ ... ─▶ head
//!                 └──── libc only reads here ────┘
//! ```
//!
//! Those words are written here, by one thread at a time, while walkers read them:
//!
//! * An entry is complete before the word that leads to it is written. A walker finds it or does not.
//! * An entry that is taken out still leads on. A walker may stand on it until its walk is over, so its memory must stay until then:
//!   whoever takes it out waits until all walks that were under way are over.
#![expect(unsafe_code, reason = "entries of a list of libc's")]

#[cfg(not(all(test, loom)))]
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering;
#[cfg(all(test, loom))]
use loom::sync::atomic::AtomicPtr;

/// `list_t` of glibc: an entry, or the head.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Link {
    next: AtomicPtr<Link>,
    previous: AtomicPtr<Link>,
}

impl Link {
    /// Whether the two are neighbours.
    pub(crate) fn leads_to(&self, last: &Self) -> bool {
        let next = self.next.load(Ordering::Relaxed).cast_const();
        let previous = last.previous.load(Ordering::Relaxed).cast_const();
        core::ptr::eq(next, last) && core::ptr::eq(previous, self)
    }

    /// Puts `new` behind this entry.
    ///
    /// # Safety
    ///
    /// This entry is the first of the two that stay. Nobody else writes between them meanwhile. `new` is an entry's place in memory
    /// that stays until it was [taken out](Self::take_out), and is on no list.
    pub(crate) unsafe fn put_behind(&self, new: &Self) {
        let next = self.next.load(Ordering::Relaxed);
        new.next.store(next, Ordering::Relaxed);
        new.previous.store(core::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
        let new = core::ptr::from_ref(new).cast_mut();
        // SAFETY: an entry between the two, or the last of them.
        unsafe { &*next }.previous.store(new, Ordering::Relaxed);
        // Release: the whole entry, and the record that it is part of, are written before a walker gets there.
        self.next.store(new, Ordering::Release);
    }

    /// Takes this entry out. Walkers may stand on it until their walks are over, so its memory stays until then.
    ///
    /// # Safety
    ///
    /// It was [put behind](Self::put_behind) another, and nobody else writes between the two that stay meanwhile.
    pub(crate) unsafe fn take_out(&self) {
        let (next, previous) = (self.next.load(Ordering::Relaxed), self.previous.load(Ordering::Relaxed));
        // SAFETY: entries between the two that stay, or those. Release: what the next one is was written by whoever has put it
        // there, and seen by this thread before; a walker must see it, too.
        unsafe {
            (*next).previous.store(previous, Ordering::Relaxed);
            (*previous).next.store(next, Ordering::Release);
        }
    }
}

#[cfg(all(test, loom))]
mod model;
