//! Waiting on a 32-bit word in memory: `futex(2)`. Plain threads park here; fibers never do.

#![expect(unsafe_code, reason = "system calls")]

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use rustix::time::Timespec;

/// Blocks the calling OS thread while `*word == expected`, until woken or until `deadline`.
///
/// May return early (signals, unrelated wakes of a reused address): callers must loop on the word.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) {
    let timeout = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => return,
        Some(left) => Some(timespec(left)),
        None => None,
    };
    let timeout_ptr = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: futex(2) FUTEX_WAIT reads a live, aligned 32-bit word (a borrowed AtomicU32) and a timespec that
    // is null or a live local.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout_ptr,
        );
    }
}

/// Wakes at most one thread that waits on the word at `address`.
///
/// The kernel only uses the address as a key and never reads it here, so the word may be freed already: a stale wake
/// can at worst end another [`wait`] early.
pub(crate) fn wake_one(address: *const u32) {
    // SAFETY: futex(2) FUTEX_WAKE on a private futex takes the address as a key without a memory access.
    unsafe {
        libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    }
}

/// [`wake_one`] in a signal's handler: by the system call itself. libc's function may be one that also wakes fibers, which takes a lock that the
/// interrupted code may have.
#[cfg(feature = "backtrace")]
pub(crate) fn wake_in_handler(word: &AtomicU32) {
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::PRIVATE, 1);
}

/// `left` as a `timespec`. If there are more seconds than it can hold, it is the longest possible.
pub(crate) fn timespec(left: Duration) -> Timespec {
    Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
}
