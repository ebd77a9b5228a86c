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
    let Some((passed_ns, passed_ticks)) = passed() else { return Duration::ZERO };
    let ns = passed_ns.saturating_mul(count.into()) / passed_ticks;
    Duration::new((ns / 1_000_000_000) as u64, (ns % 1_000_000_000) as u32)
}

/// How many nanoseconds and ticks have passed since the start, at least one. In whole numbers: others would raise a flag of floating point, which is
/// the caller's.
fn passed() -> Option<(u128, u128)> {
    let (ticks_then, then) = START.get()?;
    Some((then.elapsed().as_nanos().max(1), ticks().saturating_sub(*ticks_then).max(1).into()))
}

/// So much time as ticks: the other way round. At most some years.
pub(crate) fn ticks_of(time: Duration) -> u64 {
    let Some((passed_ns, passed_ticks)) = passed() else { return u64::MAX };
    (time.as_nanos().saturating_mul(passed_ticks) / passed_ns).try_into().unwrap_or(u64::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::{duration_of, start, ticks, ticks_of};

    #[test]
    fn ticks_go_on_and_are_a_time() {
        start();
        let before = ticks();
        while ticks() - before < 1 << 24 {
            std::thread::yield_now();
        }
        let time = duration_of(1 << 24);
        assert!(time > Duration::from_micros(100) && time < Duration::from_secs(60), "{time:?}");
        // What passes between the two changes little.
        let back = ticks_of(time);
        assert!((1 << 23..1 << 25).contains(&back), "{back}");
    }
}
