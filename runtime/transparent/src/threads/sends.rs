//! Signals that the process sends to itself. What must wait does so when the call returns.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;

use libc::{pid_t, siginfo_t, sigval};

use super::details;
use super::handlers::{index, stands_for};
use super::masks::main_blocks;
use super::waiting::{hold_back, hold_back_own};
use crate::answer::{answer, errno};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// kill(2).
    fn kill(process: pid_t, signal: c_int) -> c_int, |_| -> always {
        let info = |signal| details::sent(signal, libc::SI_USER, None);
        // SAFETY: it takes numbers.
        if waits(process, signal, info) { 0 } else { unsafe { own!(fn kill(pid_t, c_int) -> c_int)(process, signal) } }
    }

    /// sigqueue(3).
    fn sigqueue(process: pid_t, signal: c_int, value: sigval) -> c_int, |_| -> always {
        let info = |signal| details::sent(signal, libc::SI_QUEUE, Some(value));
        // SAFETY: it takes numbers.
        if waits(process, signal, info) { 0 } else { unsafe { own!(fn sigqueue(pid_t, c_int, sigval) -> c_int)(process, signal, value) } }
    }

    /// raise(3): a signal for the calling thread.
    fn raise(signal: c_int) -> c_int, |_| -> always {
        let is_held = index(signal).is_some_and(|signal| enter().is_some_and(|_within| hold_back_own(signal, details::sent(signal, libc::SI_TKILL, None))));
        // SAFETY: it takes a number.
        if is_held { 0 } else { unsafe { own!(fn raise(c_int) -> c_int)(signal) } }
    }
}

/// Whether a signal for this process must wait, and does now.
fn waits(process: pid_t, signal: c_int, info: impl FnOnce(usize) -> siginfo_t) -> bool {
    // SAFETY: no memory is involved.
    let is_own = process > 0 && process as isize == unsafe { kernel!(libc::SYS_getpid) };
    let Some(signal) = index(signal).filter(|_| is_own) else { return false };
    let is_held = main_blocks(signal) && enter().is_some() && stands_for(signal);
    if is_held {
        hold_back(signal, Some(&info(signal)));
    }
    is_held
}

/// Sends a signal with a value to the calling fiber, as pthread_sigqueue(3). The result is an error number, or 0.
pub(super) fn queue_to_caller(signal: c_int, value: sigval) -> c_int {
    let Some(number) = index(signal) else { return if signal == 0 { 0 } else { libc::EINVAL } };
    let info = details::sent(number, libc::SI_QUEUE, Some(value));
    if enter().is_some_and(|_within| hold_back_own(number, info)) {
        return 0;
    }
    // SAFETY: what is told of the signal is this function's. It is for the OS thread of the caller, which runs the handler before this returns.
    let sent = unsafe {
        let (process, thread) = (kernel!(libc::SYS_getpid), kernel!(libc::SYS_gettid));
        kernel!(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, &raw const info)
    };
    if answer(sent) == 0 { 0 } else { errno() }
}
