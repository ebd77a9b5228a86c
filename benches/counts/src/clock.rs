//! The clock of the thread that is counted, which goes on by the same step with each look at it.
//!
//! The runtime looks at the clock to see whether a fiber has had its turn. Under valgrind everything takes some forty times as
//! long, more on a busy machine, so by the true clock turns would end sooner and counts would never be the same twice. Here
//! this program's own `clock_gettime` stands before libc's, for std as for everybody else; other threads, and those that
//! have not asked for steps, are told the true time.
#![expect(unsafe_code, reason = "clock_gettime(2) is called with a pointer")]

use std::cell::Cell;

use libc::{CLOCK_MONOTONIC, SYS_clock_gettime, c_int, c_long, clockid_t, timespec};

/// How far each look takes the clock: about what lies between two looks of a worker that is busy.
const STEP_NS: c_long = 2_000;

const SECOND_NS: c_long = 1_000_000_000;

thread_local! {
    /// What the clock shows this thread; `None` if that is the true time.
    static SHOWN: Cell<Option<(c_long, c_long)>> = const { Cell::new(None) };
}

/// From now on the calling thread's monotonic clock goes by steps, beginning with the true time.
pub(crate) fn go_by_steps() {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a place for a time.
    let result = unsafe { true_time(CLOCK_MONOTONIC, &raw mut now) };
    assert_eq!(result, 0, "there is a monotonic clock");
    SHOWN.set(Some((now.tv_sec, now.tv_nsec)));
}

/// # Safety
///
/// As for clock_gettime(2): `time` must be valid for writes.
unsafe fn true_time(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the call takes a clock and a pointer, which the caller vouches for.
    unsafe { libc::syscall(SYS_clock_gettime, clock, time) as c_int }
}

/// clock_gettime(2).
///
/// # Safety
///
/// `time` must be valid for writes.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // A thread that ends has no locals any more; nobody counts its instructions.
    match SHOWN.try_with(Cell::get).ok().flatten() {
        Some((second, nanosecond)) if clock == CLOCK_MONOTONIC => {
            let next = nanosecond + STEP_NS;
            let shown = (second + next / SECOND_NS, next % SECOND_NS);
            SHOWN.set(Some(shown));
            // SAFETY: this function's contract.
            unsafe { time.write(timespec { tv_sec: shown.0, tv_nsec: shown.1 }) };
            0
        }
        // SAFETY: this function's contract.
        _ => unsafe { true_time(clock, time) },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn each_look_is_a_step_and_other_threads_see_the_true_time() {
        go_by_steps();
        let first = Instant::now();
        let steps = |count: u32| Duration::from_nanos(STEP_NS.unsigned_abs()) * count;
        assert_eq!(Instant::now() - first, steps(1));
        assert_eq!(Instant::now() - first, steps(2));
        let true_time = std::thread::spawn(Instant::now).join().expect("no panic");
        assert!(true_time >= first - steps(1), "it began with the true time");
    }
}
