//! Signals for the process that the kernel has given to the OS thread of a fiber that blocks them, and that the main thread takes.
//!
//! The kernel knows of no fiber's mask. It prefers the main thread; if that blocks the signal for a moment, because it is in a handler, the
//! kernel takes any other. On threads the signal would have waited for the main thread.

#![expect(unsafe_code, reason = "sends signals, and reads what the kernel has told of them")]

use std::sync::atomic::{AtomicU64, Ordering};

use libc::siginfo_t;

use super::{details, masks};
use crate::kernel::kernel;

/// The signals that were passed to the main thread without what is told of them, which is kept.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Passes a signal to the main thread, which does not block it. Whether that could be done. May be called in a handler.
pub(super) fn pass_to_main(signal: usize, info: *mut siginfo_t) -> bool {
    // SAFETY: what the kernel has written of the signal.
    unsafe {
        let (process, thread) = (kernel!(libc::SYS_getpid), kernel!(libc::SYS_gettid));
        if process == thread {
            return false;
        }
        if kernel!(libc::SYS_rt_tgsigqueueinfo, process, process, signal, info) == 0 {
            return true;
        }
        // What a process, or the kernel, has sent cannot be told on in this way.
        if let Some(info) = info.as_ref() {
            details::keep(signal, *info);
            PASSED.fetch_or(masks::bit(signal), Ordering::SeqCst);
        }
        kernel!(libc::SYS_tgkill, process, process, signal) == 0
    }
}

/// What is to be told of a signal that was passed to the calling thread, if that is the main one. May be called in a handler.
pub(super) fn passed(signal: usize) -> Option<siginfo_t> {
    let bit = masks::bit(signal.max(1));
    // SAFETY: no memory is involved.
    let is_main = || unsafe { kernel!(libc::SYS_getpid) == kernel!(libc::SYS_gettid) };
    if PASSED.load(Ordering::SeqCst) & bit == 0 || !is_main() {
        return None;
    }
    PASSED.fetch_and(!bit, Ordering::SeqCst);
    details::take(signal)
}
