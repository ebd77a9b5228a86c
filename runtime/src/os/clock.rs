//! A count of time that costs an instruction to read, for stamps that are looked at rarely: the processor's own on x86_64, elsewhere
//! the kernel's coarse clock. What it is in seconds is found out when somebody looks.

#![expect(unsafe_code, reason = "an instruction, and a system call")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The count and the time when the first runtime was created.
static START: OnceLock<(u64, Instant)> = OnceLock::new();

/// Notes the count and the time, to compare them with later ones.
pub(crate) fn start() {
    START.get_or_init(|| (ticks(), Instant::now()));
}

/// The count. All processors of a machine have the same, or nearly so.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 processor has the instruction, and Linux lets programs use it.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return coarse_ns();
}

#[cfg(not(target_arch = "x86_64"))]
fn coarse_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes to a live local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// So many ticks as a time.
pub(crate) fn duration_of(count: u64) -> Duration {
    let Some((ticks_then, then)) = START.get() else { return Duration::ZERO };
    let (passed, passed_ticks) = (then.elapsed(), ticks().saturating_sub(*ticks_then).max(1));
    Duration::from_secs_f64(passed.as_secs_f64() * (count as f64 / passed_ticks as f64))
}

/// So much time as ticks: the other way round. At most some years.
pub(crate) fn ticks_of(time: Duration) -> u64 {
    let of_a_second = duration_of(1 << 32).as_secs_f64();
    (time.as_secs_f64() / of_a_second * (1_u64 << 32) as f64) as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::{duration_of, start, ticks};

    #[test]
    fn ticks_go_on_and_are_a_time() {
        start();
        let before = ticks();
        while ticks() - before < 1 << 24 {
            std::thread::yield_now();
        }
        let time = duration_of(1 << 24);
        assert!(time > Duration::from_micros(100) && time < Duration::from_secs(60), "{time:?}");
    }
}
