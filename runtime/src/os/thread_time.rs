//! How much processor time a thread of this process has used.

#![cfg_attr(feature = "own-tls", expect(unsafe_code, reason = "clock_gettime(2) takes a pointer"))]

#[cfg(feature = "own-tls")]
use std::time::Duration;

/// The clock of a thread's processor time.
pub(crate) const fn clock_of(thread_id: i32) -> libc::clockid_t {
    /// The low bits of the clock's id: a thread's clock (CPUCLOCK_PERTHREAD_MASK) of scheduled time (CPUCLOCK_SCHED).
    const THREAD_CLOCK: libc::clockid_t = 6;
    !thread_id << 3 | THREAD_CLOCK
}

/// The processor time of the thread with this id. `None` if there is no such thread.
#[cfg(feature = "own-tls")]
pub(crate) fn of(thread_id: i32) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes to a live local.
    let result = unsafe { libc::clock_gettime(clock_of(thread_id), &raw mut time) };
    (result == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// How long the thread with this id has waited for a processor although it could run. `None` if there is no such thread, or the kernel does not
/// tell.
#[cfg(feature = "own-tls")]
pub(crate) fn waited(thread_id: i32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread_id}/schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(all(test, feature = "own-tls", not(loom)))]
mod tests {
    use super::*;
    use crate::os::thread;

    #[test]
    fn a_thread_that_computes_uses_time_and_one_that_is_not_there_has_none() {
        let before = of(thread::id()).unwrap();
        while of(thread::id()).unwrap() == before {
            std::hint::spin_loop();
        }
        assert_eq!([of(i32::MAX - 1), waited(i32::MAX - 1)], [None; 2]);
    }
}
