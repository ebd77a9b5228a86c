//! The end of a fiber's thread-local variables, in the order in which libc ends a thread's.
#![expect(unsafe_code, reason = "runs destructors, and reads libc's record of the thread")]

use crate::keys;
use crate::modules;
use crate::pointer::{ThreadPointer, thread_pointer};
use crate::robust;
use crate::support::{Support, known};

/// Runs the destructors of the calling fiber's thread-local variables, as at the end of a thread: those of `thread_local!` and of
/// C++, in the reverse order of their first use; then those of pthread keys, up to four rounds while they set new values; and both
/// again if those have used variables with destructors. Robust mutexes that the fiber holds are given up.
///
/// Destructors are ordinary code of the fiber: they may use thread-local variables, and may suspend the fiber.
///
/// An allocator that is not libc's and keeps its heap in thread-local variables has given it up then: what is allocated or freed
/// afterwards, before the block is left, makes it a new one, which the [reset](crate::reset()) forgets.
///
/// To be called in the fiber's block, as the last of what the fiber's own code does. If there are no destructors it is some ten
/// instructions.
///
/// # Safety
///
/// * The block of a fiber is installed.
/// * No code of the fiber uses, after this call, a reference to a thread-local variable that it got before.
#[inline]
pub unsafe fn finish() {
    // SAFETY: the caller's promise.
    unsafe { finish_with(known()) };
}

/// # Safety
///
/// See [`finish()`].
#[inline(always)]
pub(crate) unsafe fn finish_with(support: &Support) {
    let block = thread_pointer();
    // SAFETY: the caller's promise.
    unsafe {
        if has_destructors(support, block) {
            run(support, block);
        }
        if let Some(offset) = support.robust_list() {
            robust::give_up_all(block, offset, block.at::<u32>(support.glibc().tid).read());
        }
    }
}

/// Whether any destructors are left.
///
/// # Safety
///
/// `block` is the calling code's, or nobody's.
#[inline(always)]
pub(crate) unsafe fn has_destructors(support: &Support, block: ThreadPointer) -> bool {
    // SAFETY: the caller's promise.
    unsafe { modules::word(block, support.destructors()) != 0 || keys::any(support.glibc(), block) }
}

/// # Safety
///
/// See [`finish()`].
#[inline(never)]
unsafe fn run(support: &Support, block: ThreadPointer) {
    let glibc = support.glibc();
    // SAFETY: the caller's promise.
    unsafe {
        (glibc.call_destructors)();
        for _ in 0..keys::ROUNDS {
            if !keys::any(glibc, block) {
                break;
            }
            keys::run(glibc, block);
            (glibc.call_destructors)();
        }
    }
}
