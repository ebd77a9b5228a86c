//! Nudging a thread: running a hook on it in the middle of whatever it does.
//!
//! Uses SIGURG, which is ignored by default, has no other use in practice and is what Go uses for the same purpose.
//! A program that handles SIGURG itself keeps it; then nobody can be nudged.

#![expect(unsafe_code, reason = "a signal handler, and a system call that sends it")]

use std::io;
use std::ptr;
use std::sync::OnceLock;

/// Like the disposition of SIGURG, the hook belongs to the process: set once, then only read.
static HOOK: OnceLock<fn()> = OnceLock::new();

/// Lets [`nudge`] run `hook`, which must do no more than a signal handler may. False if SIGURG is taken.
pub(crate) fn arm(hook: fn()) -> io::Result<bool> {
    // SAFETY: an all-zero sigaction is a valid value to be written over.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; `before` is a live local.
    if unsafe { libc::sigaction(libc::SIGURG, ptr::null(), &mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let ours = on_nudge as *const () as usize;
    if before.sa_sigaction != libc::SIG_DFL {
        return Ok(before.sa_sigaction == ours);
    }
    HOOK.get_or_init(|| hook);
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that goes without SA_SIGINFO.
    if unsafe { libc::sigaction(libc::SIGURG, &action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(true)
}

extern "C" fn on_nudge(_signal: libc::c_int) {
    // SAFETY: errno is the interrupted code's, so it is put back afterwards.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the location is the calling thread's.
    let before = unsafe { *errno };
    if let Some(hook) = HOOK.get() {
        hook();
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// The calling thread's id, for [`nudge`]. Never 0.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: gettid(2) has no preconditions.
    unsafe { libc::gettid() }
}

/// Runs the hook on a thread of this process. A thread that has ended is not there to be nudged.
pub(crate) fn nudge(thread_id: i32) {
    // SAFETY: tgkill(2) takes numbers; SIGURG harms nobody who does not expect it.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread_id, libc::SIGURG) };
}
