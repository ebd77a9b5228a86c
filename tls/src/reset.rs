//! Making a block that of a new thread, for the next fiber of its stack.
#![expect(unsafe_code, reason = "writes the calling code's thread-local storage")]

use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::glibc::ResolverState;
use crate::keys;
use crate::loaded;
use crate::modules;
use crate::pointer::{ThreadPointer, thread_pointer};
use crate::support::{Support, known};
use crate::tid;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    fn pthread_setcanceltype(kind: c_int, before: *mut c_int) -> c_int;
}

/// `struct __locale_struct` of glibc's public headers.
#[repr(C)]
pub(crate) struct Locale {
    categories: [usize; 13],
    /// Tables of kinds, of lower case, of upper case.
    characters: [AtomicUsize; 3],
}

impl Locale {
    /// The process's.
    ///
    /// # Safety
    ///
    /// `offset` is that of a thread's locale, and `new` a block that nobody has used.
    #[inline(always)]
    pub(crate) unsafe fn of_process<'a>(new: ThreadPointer, offset: isize) -> &'a Self {
        // SAFETY: a new thread has the process's locale, which stays.
        unsafe { &*core::ptr::with_exposed_provenance(modules::word(new, offset)) }
    }

    /// Makes the tables of characters the block's, as they are now. `offsets` are those of the addresses of the tables.
    ///
    /// # Safety
    ///
    /// The block is the caller's.
    #[inline(always)]
    pub(crate) unsafe fn give_characters(&self, block: ThreadPointer, offsets: [isize; 3]) {
        for (table, offset) in self.characters.iter().zip(offsets) {
            // SAFETY: words of libc's in the block.
            unsafe { block.at::<usize>(offset).write(table.load(Ordering::Relaxed)) };
        }
    }
}

const PTHREAD_CANCEL_ENABLE: c_int = 0;
const PTHREAD_CANCEL_DEFERRED: c_int = 0;

/// Makes the calling block that of a new thread: thread-local variables have their first values, `errno` is 0, the locale is the
/// process's, no pthread key has a value, the resolver is not initialised, the id that mutexes keep of their owner is a new one.
///
/// What is the OS thread's stays: malloc's cache, [what was added](crate::keep_with_carrier), and what the kernel knows of the
/// thread, such as the mask of signals.
///
/// To be called in the fiber's block, after [`finish`](crate::finish()); everything that was in thread-local variables is forgotten,
/// not dropped. What the caller does afterwards, until it leaves the block, must use no thread-local variable, or one that the next
/// fiber may find used.
///
/// # Safety
///
/// * The block of a fiber is installed.
/// * No reference to one of its thread-local variables is used again, nor do values exist that rely on one: locks that the fiber
///   holds, spans that it has entered.
/// * The calling function keeps no address of a thread-local variable: it uses none.
#[inline(never)]
pub unsafe fn reset() {
    // SAFETY: the caller's promise.
    unsafe { reset_with(known()) };
}

/// # Safety
///
/// See [`reset()`].
#[inline(always)]
pub(crate) unsafe fn reset_with(support: &Support) {
    let block = thread_pointer();
    let glibc = support.glibc();
    // SAFETY: the caller's promise; the fields are those of the calling thread's record.
    unsafe {
        if keys::any(glibc, block) {
            keys::clear(glibc, block);
        }
        let (seen, plan) = (support.seen(), support.plan());
        if plan.is_changed(block) {
            settle(support, block);
        }
        plan.copy(block);
        // The copy has made the process's locale the thread's. Its tables of characters are those of now.
        Locale::of_process(plan.template, seen.locale).give_characters(block, seen.characters);
        if loaded::any(support) {
            loaded::reset(support, block);
        }
        let id = block.at::<u32>(glibc.tid);
        id.write(tid::next(id.read()));
    }
}

/// Gives back what libc holds for the thread besides its variables, and makes it cancellable again.
///
/// # Safety
///
/// As for [`reset()`].
#[cold]
unsafe fn settle(support: &Support, block: ThreadPointer) {
    let (seen, new) = (support.seen(), support.template());
    // SAFETY: calls that a thread may make, and the calling thread's state of the resolver. Its type is public; it is zero in a new
    // thread.
    unsafe {
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, null_mut());
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, null_mut());
        let resolver = block.at::<ResolverState>(seen.resolver_state);
        if (*resolver).options != 0 {
            (support.glibc().close_resolver)(resolver);
            let new = new.at::<u8>(seen.resolver_state);
            core::ptr::copy_nonoverlapping(new, resolver.cast(), RESOLVER_STATE_BYTES);
        }
        if seen.loader_error.iter().any(|&word| modules::word(block, word) != modules::word(new, word)) {
            // The first call returns the error, the second frees it.
            libc::dlerror();
            libc::dlerror();
        }
    }
}

/// `sizeof(struct __res_state)` of `resolv.h`, on 64-bit architectures.
const RESOLVER_STATE_BYTES: usize = 568;
