//! Making a block that of a new thread, for the next fiber of its stack.
#![expect(unsafe_code, reason = "writes the calling code's thread-local storage")]

use core::ffi::c_int;
use core::ptr::null_mut;

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

/// `LC_GLOBAL_LOCALE` of `locale.h`: the process's.
pub(crate) fn global_locale() -> libc::locale_t {
    core::ptr::without_provenance_mut(usize::MAX)
}

const PTHREAD_CANCEL_ENABLE: c_int = 0;
const PTHREAD_CANCEL_DEFERRED: c_int = 0;

/// Makes the calling block that of a new thread: thread-local variables have their first values, `errno` is 0, the locale is the
/// process's, no pthread key has a value, the resolver is not initialised, the id that mutexes keep of their owner is a new one.
///
/// What is the OS thread's stays: malloc's cache, [what was added](crate::keep_with_carrier), and what the kernel knows of the
/// thread, such as the mask of signals.
///
/// To be called in the fiber's block, after [`finish`](crate::finish); everything that was in thread-local variables is forgotten,
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
/// See [`reset`].
#[inline(always)]
pub(crate) unsafe fn reset_with(support: &Support) {
    let block = thread_pointer();
    let glibc = support.glibc();
    // SAFETY: the caller's promise; the fields are those of the calling thread's record.
    unsafe {
        if keys::any(glibc, block) {
            keys::clear(glibc, block);
        }
        // Both are a load, a comparison and no more, if nothing was changed.
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, null_mut());
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, null_mut());
        let resolver = block.at::<ResolverState>(support.resolver_state());
        if (*resolver).options != 0 {
            close(support, block, resolver);
        }
        if support.loader_error().iter().any(|&offset| modules::word(block, offset) != 0) {
            // The first call returns the error, the second frees it.
            libc::dlerror();
            libc::dlerror();
        }
        support.plan().copy(support.template(), block);
        if loaded::any(support) {
            loaded::reset(support, block);
        }
        // After the copy: the tables of characters are those of the process's present locale.
        libc::uselocale(global_locale());
        let id = block.at::<u32>(glibc.tid);
        id.write(tid::next(id.read()));
    }
}

/// Closes the resolver's sockets, and makes its state a new thread's.
///
/// # Safety
///
/// As for [`reset`].
#[cold]
unsafe fn close(support: &Support, block: ThreadPointer, state: *mut ResolverState) {
    // SAFETY: the state is the calling thread's. The header of the record is public: the rest is its, too, and zero in a new thread.
    unsafe {
        (support.glibc().close_resolver)(state);
        let new = support.template().at::<u8>(support.resolver_state());
        core::ptr::copy_nonoverlapping(new, block.at::<u8>(support.resolver_state()), RESOLVER_STATE_BYTES);
    }
}

/// `sizeof(struct __res_state)` of `resolv.h`, on 64-bit architectures.
const RESOLVER_STATE_BYTES: usize = 568;
