//! Robust mutexes that a fiber has not unlocked at its end: the next to lock them learns that the owner is gone. The kernel does so
//! for a thread, from a list that libc keeps in the thread's record; it does not know of fibers.
#![expect(unsafe_code, reason = "walks the list that the kernel would walk")]

use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::pointer::ThreadPointer;

/// `struct robust_list_head` of the kernel.
#[repr(C)]
struct Head {
    next: usize,
    /// From an entry to its mutex's word.
    futex_offset: isize,
    pending: usize,
}

/// In an entry: the mutex inherits priority. The word is then the kernel's, too.
const INHERITS_PRIORITY: usize = 1;

/// Where the calling thread's list is, from its thread pointer. None if the kernel was not told of it.
pub(crate) fn offset(own: ThreadPointer) -> Option<isize> {
    let mut head = 0_usize;
    let mut bytes = 0_usize;
    // SAFETY: both places are writable.
    let result = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut bytes) };
    let is_known = result == 0 && head != 0 && bytes == size_of::<Head>();
    is_known.then(|| head.wrapping_sub(own.address()).cast_signed())
}

/// Gives up all robust mutexes of the fiber whose block this is. `tid` is the block's id.
///
/// # Safety
///
/// `block` is the calling code's, and `offset` is that of its list.
#[inline(always)]
pub(crate) unsafe fn give_up_all(block: ThreadPointer, offset: isize, tid: u32) {
    let head = block.at::<Head>(offset);
    // SAFETY: libc's record of the calling thread.
    if unsafe { (*head).next } != head.addr() {
        // SAFETY: the caller's promise.
        unsafe { walk(head, tid) };
    }
}

#[cold]
unsafe fn walk(head: *mut Head, tid: u32) {
    // SAFETY: the entries are within mutexes that the fiber has locked, which must not be freed while they are locked. The word
    // before the list's head is that of libc's way back.
    unsafe {
        let mut entry = (*head).next;
        while entry & !INHERITS_PRIORITY != head.addr() {
            let place: *const usize = core::ptr::with_exposed_provenance(entry & !INHERITS_PRIORITY);
            let next = place.read();
            if entry & INHERITS_PRIORITY == 0 {
                let word = place.cast::<u8>().wrapping_offset((*head).futex_offset).cast_mut().cast();
                give_up(AtomicU32::from_ptr(word), tid);
            }
            entry = next;
        }
        (*head).next = head.addr();
        head.cast::<usize>().sub(1).write(head.addr());
    }
}

/// What the kernel does with a mutex of a dead thread.
fn give_up(word: &AtomicU32, tid: u32) {
    let died = |value: u32| {
        (value & libc::FUTEX_TID_MASK == tid).then_some(value & libc::FUTEX_WAITERS | libc::FUTEX_OWNER_DIED)
    };
    if let Ok(before) = word.fetch_update(Ordering::Release, Ordering::Relaxed, died)
        && before & libc::FUTEX_WAITERS != 0
    {
        // Not a private futex: robust mutexes may be shared between processes. Private waiters are woken by the second call.
        for operation in [libc::FUTEX_WAKE, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG] {
            // SAFETY: the word is only an address to the kernel.
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1, null::<libc::timespec>()) };
        }
    }
}
