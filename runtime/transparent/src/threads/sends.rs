//! Signals that the process sends to itself. What must wait does so when the call returns.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::ptr;

use abaca::hook;
use libc::{pid_t, siginfo_t, sigval};

use super::attending::attend;
use super::defaults::stands_for;
use super::handlers::index;
use super::masks::{self, main_blocks};
use super::queued::NoPlace;
use super::relay::{has_started, start_relay};
use super::waiting::{hold_back, hold_back_own};
use super::{borrowed, details, search};
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
        let waits = |number| waits_for_caller(number, details::sent(number, libc::SI_TKILL, None));
        // SAFETY: it takes a number.
        index(signal).and_then(waits).map_or_else(|| unsafe { own!(fn raise(c_int) -> c_int)(signal) }, of_sent)
    }
}

/// As libc's functions say what has become of a signal.
fn of_sent(sent: Result<(), NoPlace>) -> c_int {
    match sent {
        Ok(()) => 0,
        Err(NoPlace) => answer(failed(libc::EAGAIN)) as c_int,
    }
}

/// Lets a signal for this process wait; `None` if it need not. A caller that does not block it has handled it then, unless somebody was faster.
fn waits(
    process: pid_t,
    signal: c_int,
    info: impl FnOnce(usize) -> siginfo_t,
) -> Option<Result<(), NoPlace>> {
    // SAFETY: no memory is involved.
    let is_own = process > 0 && process as isize == unsafe { kernel!(libc::SYS_getpid) };
    let signal = index(signal).filter(|signal| is_own && main_blocks(*signal))?;
    let _within = enter()?;
    if !stands_for(signal) || borrowed::is_child() {
        return None;
    }
    if !has_started() {
        start_relay();
    }
    let sent = hold_back(signal, Some(&info(signal)));
    if !matches!(sent, Ok(true)) && masks::blocked() & masks::bit(signal) == 0 {
        attend();
    }
    if !main_blocks(signal) {
        // It lets it through since, and has looked before.
        search::look_on_main(signal as c_int);
    }
    Some(sent.map(drop))
}

/// Lets a signal that the calling fiber sends to itself wait; `None` if it need not. In a handler the kernel knows what that blocks, and not
/// what the fiber does.
fn waits_for_caller(signal: usize, info: siginfo_t) -> Option<Result<(), NoPlace>> {
    if borrowed::is_child() {
        return None;
    }
    let within = enter();
    if within.is_none() && !(hook::on_fiber() && masks::is_in_any_handler()) {
        return None;
    }
    hold_back_own(signal, info)
}

/// Sends a signal with a value to the calling fiber, as pthread_sigqueue(3). The result is an error number, or 0.
pub(super) fn queue_to_caller(signal: c_int, value: sigval) -> c_int {
    let Some(number) = index(signal) else { return if signal == 0 { 0 } else { libc::EINVAL } };
    queue_told_to_caller(signal, details::sent(number, libc::SI_QUEUE, Some(value)))
}

/// Sends a signal, of which this is told, to the calling fiber. The result is an error number, or 0.
pub(super) fn queue_told_to_caller(signal: c_int, info: siginfo_t) -> c_int {
    let Some(number) = index(signal) else { return libc::EINVAL };
    if let Some(sent) = waits_for_caller(number, info) {
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
