//! Masks that are given: by a fiber to the threads and the programs that it starts, and by a caller for the time of a call.

#![expect(unsafe_code, reason = "reads sets of signals, and changes the masks of OS threads")]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

use abaca::hook::{self, Interrupted};
use libc::{SIG_BLOCK, SIG_SETMASK, sigset_t};

use super::attending::attend;
use super::borrowed;
use super::masks::{bits_of, blocked, own_mask, set, that_can_be, write};
use super::waiting::waiting;
use crate::answer::{failed, of_c};
use crate::calls::kick::set_mask;

/// The calling fiber's mask.
pub(crate) fn set_of_caller() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: a set to be written.
    unsafe {
        write(set.as_mut_ptr(), blocked());
        set.assume_init()
    }
}

/// Calls `start`, which starts a thread of the kernel's, a child, or a program in place of this one, with the mask of the caller: that of the fiber, if it is one.
pub(crate) fn inherited<R>(start: impl FnOnce() -> R) -> R {
    let mask = if hook::on_fiber() && !hook::starts_runtimes_thread() { borrowed::blocked() } else { 0 };
    if mask == 0 {
        return start();
    }
    let (mut set, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: two sets of this function's.
    unsafe {
        write(set.as_mut_ptr(), mask);
        set_mask(SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
        let result = start();
        set_mask(SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        result
    }
}

/// Whether a signal that the mask of a call lets through ends it, if it has found nothing and need not wait any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// In EINTR, as ppoll(2) and pselect(2).
    Ends,
    /// Not: it goes on waiting, as with epoll_pwait(2).
    LeavesIt,
}

/// Calls `wait` with this mask of the user's, if it is one. A result of 0, that nothing has come, may be EINTR if a handler has run.
///
/// # Safety
///
/// The mask is null, or initialised.
unsafe fn with_mask(mask: *const sigset_t, look: Look, wait: impl FnOnce() -> isize) -> isize {
    if mask.is_null() {
        return wait();
    }
    // The main fiber's mask is that of all who have none: to forget it would leave this one to them.
    let before = if hook::is_main() { Some(blocked()) } else { own_mask() };
    // SAFETY: the caller's promise.
    set(Some(unsafe { that_can_be(mask) }));
    let result = wait();
    let is_interrupted = result == 0 && look == Look::Ends && attend() != Interrupted::Not;
    set(before);
    if waiting() & !blocked() != 0 {
        attend();
    }
    if is_interrupted { failed(libc::EINTR) } else { result }
}

/// The same; by `in_kernel`, a function of `thread_waits.rs`, if only the kernel can wait with the mask. That knows how the call ends.
///
/// # Safety
///
/// The mask is null, or initialised.
pub(crate) unsafe fn with_mask_or(
    mask: *const sigset_t,
    look: Look,
    wait: impl FnOnce() -> isize,
    in_kernel: impl FnOnce() -> c_int,
) -> isize {
    // SAFETY: the caller's promise.
    unsafe {
        if !mask.is_null() && is_kernels(mask) {
            with_mask(mask, Look::LeavesIt, || of_c(in_kernel() as isize))
        } else {
            with_mask(mask, look, wait)
        }
    }
}

/// Whether the OS thread blocks what this mask lets through: who has built the runtime blocked it. Then only the kernel can wait with the mask.
///
/// # Safety
///
/// The mask is initialised.
unsafe fn is_kernels(mask: *const sigset_t) -> bool {
    let mut now = MaybeUninit::uninit();
    // SAFETY: a set to be written; the caller's promise.
    unsafe {
        set_mask(SIG_BLOCK, ptr::null(), now.as_mut_ptr());
        that_can_be(now.as_ptr()) & !bits_of(mask) != 0
    }
}
