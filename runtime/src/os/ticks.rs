//! A clock that costs a few nanoseconds: the processor's counter where it goes at one speed and is the same for all cores, else the
//! monotonic clock.

#![expect(unsafe_code, reason = "reads the processor's counter")]

use std::time::Instant;

/// The kind of clock, and a moment on it whose time is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    has_counter: bool,
    /// A count, and the time at that moment.
    began: (u64, Instant),
}

/// A moment on the clock whose time is known; a later one than that of the clock's making tells how fast the clock goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    ticks: u64,
    ns: u64,
}

impl Ticks {
    /// The best clock of this machine.
    pub(crate) fn new() -> Self {
        let has_counter = has_counter();
        let now = Instant::now();
        let mut this = Self { has_counter, began: (0, now) };
        this.began.0 = this.now();
        this
    }

    /// The clock's count.
    #[inline(always)]
    pub(crate) fn now(&self) -> u64 {
        if self.has_counter { counter() } else { self.monotonic() }
    }

    /// Whether [`by_counter`](Self::by_counter) may be used.
    pub(crate) fn has_counter(&self) -> bool {
        self.has_counter
    }

    /// [`now`](Self::now) where that is the processor's counter.
    #[inline(always)]
    pub(crate) fn by_counter(&self) -> u64 {
        debug_assert!(self.has_counter, "asked for first");
        counter()
    }

    /// The count at which the clock was made.
    pub(crate) fn first(&self) -> u64 {
        self.began.0
    }

    /// Nanoseconds since the clock was made; the count before counters.
    #[cold]
    fn monotonic(&self) -> u64 {
        self.began.1.elapsed().as_nanos() as u64
    }

    /// How fast the clock goes, as seen between its making and now.
    pub(crate) fn scale(&self) -> Scale {
        let ns = self.monotonic();
        Scale { ticks: self.now().wrapping_sub(self.began.0), ns }
    }

    /// How far the count goes in so many nanoseconds.
    pub(crate) fn count_of(&self, ns: u64, scale: Scale) -> u64 {
        let count = u128::from(ns) * u128::from(scale.ticks) / u128::from(scale.ns.max(1));
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The time of a count in nanoseconds since the clock was made; 0 if it is before that.
    pub(crate) fn ns(&self, count: u64, scale: Scale) -> u64 {
        let ticks = u128::from(count.saturating_sub(self.began.0));
        u64::try_from(ticks * u128::from(scale.ns) / u128::from(scale.ticks.max(1))).unwrap_or(u64::MAX)
    }
}

/// Whether the processor has a counter that goes at one speed, whatever the core does.
#[cfg(target_arch = "x86_64")]
fn has_counter() -> bool {
    use std::arch::x86_64::__cpuid;

    const POWER: u32 = 0x8000_0007;
    /// The bit of a time-stamp counter that is invariant.
    const INVARIANT: u32 = 1 << 8;
    __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: the instruction has no precondition; Linux lets programs use it unless they ask for a signal instead.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The counters of these architectures go at one speed by definition.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
fn has_counter() -> bool {
    true
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn counter() -> u64 {
    let count;
    // SAFETY: Linux lets programs read the virtual counter; reading it changes nothing.
    unsafe {
        std::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack, preserves_flags))
    };
    count
}

#[cfg(target_arch = "riscv64")]
#[inline(always)]
fn counter() -> u64 {
    let count;
    // SAFETY: Linux lets programs read the timer; reading it changes nothing.
    unsafe { std::arch::asm!("rdtime {}", out(reg) count, options(nomem, nostack, preserves_flags)) };
    count
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
fn has_counter() -> bool {
    false
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
fn counter() -> u64 {
    unreachable!("this machine has none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_times_that_keep_their_order_and_fit_the_monotonic_clock() {
        for has_counter in [has_counter(), false] {
            let mut ticks = Ticks::new();
            ticks.has_counter = has_counter;
            ticks.began.0 = ticks.now();
            let (before, count) = (Instant::now(), ticks.now());
            while before.elapsed().as_micros() < 2_000 {
                std::hint::spin_loop();
            }
            let later = ticks.now();
            let scale = ticks.scale();
            let (first, second) = (ticks.ns(count, scale), ticks.ns(later, scale));
            assert!(first <= second && second <= ticks.monotonic(), "{first} {second}");
            // Within half: a thread may lose its core between two looks at clocks.
            assert!(second - first >= 1_000_000, "{first} {second}");
            assert_eq!(ticks.ns(0, scale), 0);
        }
    }
}
