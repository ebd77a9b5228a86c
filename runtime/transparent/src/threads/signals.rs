//! Waiting for signals. A thread of the pool waits, for which the signals are blocked meanwhile, as they must be for whoever waits.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::mem::MaybeUninit;

use abaca::hook;
use libc::{SIG_BLOCK, SIG_SETMASK, siginfo_t, sigset_t, timespec};

use crate::answer::{errno, failed};
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// sigwait(3).
    fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int, |_| -> c_point {
        let own = own!(fn sigwait(*const sigset_t, *mut c_int) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { elsewhere(set, move || own(set, signal) as isize) as c_int }
    }

    /// sigwaitinfo(2).
    fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int, |_| -> kernel_point {
        let own = own!(fn sigwaitinfo(*const sigset_t, *mut siginfo_t) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { elsewhere(set, move || of(own(set, info))) }
    }

    /// sigtimedwait(2).
    fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, time: *const timespec) -> c_int, |_| -> kernel_point {
        let own = own!(fn sigtimedwait(*const sigset_t, *mut siginfo_t, *const timespec) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { elsewhere(set, move || of(own(set, info, time))) }
    }
}

/// The result of a function of libc as the kernel's.
fn of(result: c_int) -> isize {
    if result >= 0 { result as isize } else { failed(errno()) }
}

/// Calls `wait` on a thread of the pool, where the signals of `set` are blocked meanwhile.
///
/// # Safety
///
/// The set is initialised; `wait` may be called on another thread while the caller waits.
unsafe fn elsewhere(set: *const sigset_t, wait: impl Fn() -> isize) -> isize {
    /// What the pool's thread uses while the fiber waits.
    struct Borrowed<F>(F, *const sigset_t);
    // SAFETY: the caller's promise; the fiber is parked meanwhile, whatever happens.
    unsafe impl<F> Send for Borrowed<F> {}
    let borrowed = Borrowed(wait, set);
    hook::offload(move || {
        let Borrowed(wait, set) = { borrowed };
        let mut before = MaybeUninit::uninit();
        // SAFETY: the caller's promise; the mask is the pool's thread's, and restored.
        unsafe {
            libc::pthread_sigmask(SIG_BLOCK, set, before.as_mut_ptr());
            let result = wait();
            libc::pthread_sigmask(SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
            result
        }
    })
}
