//! What C asks, by names of our own: whether a thread that is a fiber waits. Of the kernel's threads `/proc/self/task` tells it.

#![expect(unsafe_code, reason = "functions for C, by their names")]

use std::ffi::{c_int, c_uint};

use abaca::hook::descriptors::rounds_of_renewal;
use libc::pthread_t;

use super::record::Target;

/// Whether a thread waits: 1 if all is ready to wake it, 0 if it runs or has ended, -1 if it is the kernel's. One that somebody has
/// woken may still seem to wait.
///
/// # Safety
///
/// The thread may still be joined, and nobody joins or detaches it meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn abaca_thread_waits(thread: pthread_t) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { Target::of(thread) } {
        // SAFETY: as above.
        Target::Fiber(record) => unsafe { record.is_waiting() }.into(),
        Target::Caller => 0,
        Target::Kernel => -1,
    }
}

/// How often the numbers of descriptors for which somebody waits for long were looked at so far, for changes behind the hooks' back.
#[unsafe(no_mangle)]
extern "C" fn abaca_looks_at_waits() -> c_uint {
    rounds_of_renewal()
}
