//! Signals that the process sends to itself. What must wait does so when the call returns.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::ptr;

use libc::{pid_t, siginfo_t, sigval};

use super::handlers::{index, stands_for};
use super::masks::main_blocks;
use super::queued::NoPlace;
use super::waiting::{hold_back, hold_back_own};
use super::{borrowed, details};
use crate::answer::{answer, errno, failed};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// kill(2).
    fn kill(process: pid_t, signal: c_int) -> c_int, |_| -> always {
        let info = |signal| details::sent(signal, libc::SI_USER, None);
        // SAFETY: it takes numbers.
        waits(process, signal, info).map_or_else(|| unsafe { own!(fn kill(pid_t, c_int) -> c_int)(process, signal) }, of_sent)
    }

    /// sigqueue(3).
    fn sigqueue(process: pid_t, signal: c_int, value: sigval) -> c_int, |_| -> always {
        let info = |signal| details::sent(signal, libc::SI_QUEUE, Some(value));
        // SAFETY: it takes numbers.
        let own = || unsafe { own!(fn sigqueue(pid_t, c_int, sigval) -> c_int)(process, signal, value) };
        waits(process, signal, info).map_or_else(own, of_sent)
    }

    /// raise(3): a signal for the calling thread.
    fn raise(signal: c_int) -> c_int, |_| -> always {
        let waits = || {
            let number = index(signal).filter(|_| !borrowed::is_child())?;
            let _within = enter()?;
            hold_back_own(number, details::sent(number, libc::SI_TKILL, None))
        };
        // SAFETY: it takes a number.
        waits().map_or_else(|| unsafe { own!(fn raise(c_int) -> c_int)(signal) }, of_sent)
    }
}

/// As libc's functions say what has become of a signal.
fn of_sent(sent: Result<(), NoPlace>) -> c_int {
    match sent {
        Ok(()) => 0,
        Err(NoPlace) => answer(failed(libc::EAGAIN)) as c_int,
    }
}

/// Lets a signal for this process wait; `None` if it need not.
fn waits(
    process: pid_t,
    signal: c_int,
    info: impl FnOnce(usize) -> siginfo_t,
) -> Option<Result<(), NoPlace>> {
    // SAFETY: no memory is involved.
    let is_own = process > 0 && process as isize == unsafe { kernel!(libc::SYS_getpid) };
    let signal = index(signal).filter(|_| is_own)?;
    let must_wait = main_blocks(signal) && enter().is_some() && stands_for(signal) && !borrowed::is_child();
    must_wait.then(|| hold_back(signal, Some(&info(signal))))
}

/// Sends a signal with a value to the calling fiber, as pthread_sigqueue(3). The result is an error number, or 0.
pub(super) fn queue_to_caller(signal: c_int, value: sigval) -> c_int {
    let Some(number) = index(signal) else { return if signal == 0 { 0 } else { libc::EINVAL } };
    let info = details::sent(number, libc::SI_QUEUE, Some(value));
    if let Some(sent) = enter().and_then(|_within| hold_back_own(number, info)) {
        return if sent.is_ok() { 0 } else { libc::EAGAIN };
    }
    // It is for the OS thread of the caller, which runs the handler before this returns.
    // SAFETY: no memory is involved.
    queue_to(unsafe { kernel!(libc::SYS_gettid) }, signal, &info)
}

/// The same for the process's first thread.
pub(super) fn queue_to_main(signal: c_int, value: sigval) -> c_int {
    let Some(number) = index(signal) else { return if signal == 0 { 0 } else { libc::EINVAL } };
    // SAFETY: no memory is involved.
    queue_to(
        unsafe { kernel!(libc::SYS_getpid) },
        signal,
        &details::sent(number, libc::SI_QUEUE, Some(value)),
    )
}

fn queue_to(thread: isize, signal: c_int, info: &siginfo_t) -> c_int {
    // SAFETY: what is told of the signal is the caller's.
    let sent = unsafe {
        kernel!(libc::SYS_rt_tgsigqueueinfo, kernel!(libc::SYS_getpid), thread, signal, ptr::from_ref(info))
    };
    if answer(sent) == 0 { 0 } else { errno() }
}
