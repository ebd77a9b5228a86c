//! The steady clock of the machine, read without `std`: to the nanosecond, or sooner and as it was some milliseconds ago.

#![expect(unsafe_code, reason = "a system call")]

/// Nanoseconds of the steady clock.
pub(crate) fn ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// [`ns`] at the last tick of the kernel's own clock. It takes a few nanoseconds to read.
pub(crate) fn coarse_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes to a live local. Both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{coarse_ns, ns};

    #[test]
    fn the_coarse_clock_follows_the_steady_one() {
        let before = ns();
        let coarse = coarse_ns();
        assert!(coarse <= ns(), "it is never ahead");
        assert!(before - coarse.min(before) < 1_000_000_000, "a tick of the kernel is less than a second");
    }
}
