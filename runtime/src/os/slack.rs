//! The slack that the kernel may add to a thread's timeouts.

#![expect(unsafe_code, reason = "a system call")]

/// Lets the calling thread's timed waits end at most a microsecond late by the kernel's own choice, instead of
/// the default 50 (`PR_SET_TIMERSLACK`). What remains is the time to wake an idle core.
pub(crate) fn tighten() {
    const SLACK_NS: libc::c_ulong = 1_000;
    // SAFETY: prctl(2) with this option reads no memory. It cannot fail for the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0) };
}
