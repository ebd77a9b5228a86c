//! What signals do without a handler, and where the function of `handlers.rs` stands for that: it must wait while it is blocked.

#![expect(unsafe_code, reason = "sets up a handler, and sends signals to the calling thread")]

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{SA_RESTART, SA_SIGINFO, SIG_DFL, SIG_IGN};

use super::faults::is_fault;
use super::flags::FLAGS;
use super::handlers::{handler_function, has_been_handled, has_handler};
use super::masks;
use super::relay::await_fibers;
use crate::calls::kick::sigaction as own_sigaction;
use crate::kernel::kernel;

/// The signals that the kernel sends to the thread whose system call has failed.
pub(super) const OF_CALLS: u64 = masks::bit(libc::SIGPIPE as usize) | masks::bit(libc::SIGXFSZ as usize);

/// Those of them that a fiber has ever blocked.
static BLOCKED_ONCE: AtomicU64 = AtomicU64::new(0);

/// The signals that do nothing by default, but that SIGCONT lets a stopped process go on, whether it is blocked or not.
const IDLE: u64 = masks::bit(libc::SIGCHLD as usize)
    | masks::bit(libc::SIGURG as usize)
    | masks::bit(libc::SIGWINCH as usize)
    | masks::bit(libc::SIGCONT as usize);

/// Whether the signal does nothing to a thread that does not block it: no call ends by it, and it waits for nobody but those who block it.
pub(super) fn does_nothing(signal: usize) -> bool {
    !has_handler(signal) && (IDLE & masks::bit(signal) != 0 || is_ignored(signal))
}

/// Whether the function of this file stands for what the signal does by default: it must wait while the main fiber blocks it, and a search for
/// who was sent it may be under way (`search.rs`), unless that does nothing by default.
pub(super) fn stands_for_default(index: usize) -> bool {
    let is_idle = IDLE & masks::bit(index) != 0;
    let is_blocked = BLOCKED_ONCE.load(Ordering::SeqCst) & masks::bit(index) != 0;
    masks::main_blocks(index) || is_blocked || has_been_handled(index) && !is_idle
}

/// A fiber is about to block these signals: what its calls bring about waits for it, and must not do what it does by default.
pub(super) fn stand_for_calls(blocked: u64) {
    let new = blocked & OF_CALLS & !BLOCKED_ONCE.load(Ordering::SeqCst);
    if new != 0 {
        BLOCKED_ONCE.fetch_or(new, Ordering::SeqCst);
        set_up_for(new);
    }
}

/// Does what the signal does by default, when the handler that calls this has returned.
pub(super) fn act_by_default(signal: c_int) {
    if IDLE & masks::bit(signal as usize) != 0 {
        return;
    }
    // SAFETY: all zeros are the default.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        own_sigaction(signal, &default, ptr::null_mut());
        kernel!(libc::SYS_tgkill, kernel!(libc::SYS_getpid), kernel!(libc::SYS_gettid), signal);
    }
}

/// The main fiber blocks these signals: what they do by default must wait as well.
pub(super) fn stand_for_defaults(blocked: u64) {
    static DONE: AtomicU64 = AtomicU64::new(0);
    let before = DONE.fetch_or(blocked, Ordering::SeqCst);
    set_up_for(blocked & !before);
    // Those that do nothing would end calls of plain threads, as no signal without a handler does.
    let over = before & !blocked & IDLE;
    if over != 0 {
        DONE.fetch_and(!over, Ordering::SeqCst);
        masks::signals(over).for_each(leave_to_kernel);
    }
    if blocked != 0 {
        await_fibers();
    }
}

/// The function of this file stands for this signal's default no more.
fn leave_to_kernel(signal: usize) {
    // SAFETY: all zeros are the default, and are written over.
    unsafe {
        let (default, mut before): (libc::sigaction, libc::sigaction) =
            (std::mem::zeroed(), std::mem::zeroed());
        if !has_handler(signal) && stands_for(signal) {
            own_sigaction(signal as c_int, &default, &mut before);
            // Another thread has set one up meanwhile.
            if has_handler(signal) || !is_ours(&before) {
                own_sigaction(signal as c_int, &before, ptr::null_mut());
            }
        }
    }
}

/// Sets up the function of this file for those of these signals that do what they do by default.
fn set_up_for(signals: u64) {
    for signal in masks::signals(signals).filter(|signal| !is_fault(*signal as c_int)) {
        // SAFETY: all zeros are the default, and are written over.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            if own_sigaction(signal as c_int, ptr::null(), &mut now) == 0 && now.sa_sigaction == SIG_DFL {
                stand_for_default(&mut now);
                FLAGS[signal].store(now.sa_flags, Ordering::SeqCst);
                own_sigaction(signal as c_int, &now, ptr::null_mut());
            }
        }
    }
}

/// Whether the function of this file was set up.
pub(super) fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == handler_function()
}

/// What is set up for the signal.
fn action_of(signal: usize) -> Option<libc::sigaction> {
    // SAFETY: writes a local, for which all zeros are valid.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        (own_sigaction(signal as c_int, ptr::null(), &mut now) == 0).then_some(now)
    }
}

/// Whether the function of this file is what the signal runs.
pub(super) fn stands_for(signal: usize) -> bool {
    action_of(signal).is_some_and(|now| is_ours(&now))
}

fn is_ignored(signal: usize) -> bool {
    action_of(signal).is_some_and(|now| now.sa_sigaction == SIG_IGN)
}

pub(super) fn stand_for_default(action: &mut libc::sigaction) {
    action.sa_sigaction = handler_function();
    action.sa_flags = SA_SIGINFO | SA_RESTART;
}
