//! Whether to spin before parking, learnt from the results of recent spins.
//!
//! Spinning pays while the fiber or thread that is waited for runs on another core, and never when it does not: when
//! the machine is busy, or when it needs the very worker that spins. This cannot be known, but it tends to stay the
//! same for a while.

use std::sync::atomic::{AtomicI8, Ordering};

/// After a spin that succeeded: how many may fail in a row before spinning is given up.
const FULL: i8 = 8;

/// See the module's documentation. When spinning is given up, `REST` waits go without it before it is tried once
/// more.
///
/// All accesses are relaxed: a step that is lost to a race only makes the guess worse.
#[derive(Debug)]
pub(crate) struct AdaptiveSpin<const REST: i8>(AtomicI8);

impl<const REST: i8> Default for AdaptiveSpin<REST> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const REST: i8> AdaptiveSpin<REST> {
    pub(crate) const fn new() -> Self {
        Self(AtomicI8::new(FULL))
    }

    /// Whether to spin this time. A caller that does reports the result by `succeeded` or `failed`.
    pub(crate) fn should_spin(&self) -> bool {
        let spin = self.0.load(Ordering::Relaxed);
        if spin < 0 {
            self.0.store(spin + 1, Ordering::Relaxed);
        }
        spin >= 0
    }

    /// Reports a spin that succeeded.
    pub(crate) fn succeeded(&self) {
        self.0.store(FULL, Ordering::Relaxed);
    }

    /// Reports a spin that failed.
    pub(crate) fn failed(&self) {
        let spin = self.0.load(Ordering::Relaxed);
        self.0.store(if spin <= 0 { -REST } else { spin - 1 }, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Spins in `waits` waits if it is told to, and always fails. Returns the number of spins.
    fn failed_spins(spin: &AdaptiveSpin<64>, waits: usize) -> usize {
        (0..waits).filter(|_| spin.should_spin()).inspect(|_| spin.failed()).count()
    }

    #[test]
    fn spinning_stops_after_some_failures_and_is_then_tried_now_and_then() {
        let spin = AdaptiveSpin::<64>::new();
        let in_a_row = failed_spins(&spin, 9);
        assert_eq!(in_a_row, 9);
        assert_eq!(failed_spins(&spin, 64), 0);
        assert_eq!(failed_spins(&spin, 65), 1);
    }

    #[test]
    fn spinning_resumes_after_one_success() {
        let spin = AdaptiveSpin::<64>::new();
        failed_spins(&spin, 9 + 64);
        assert!(spin.should_spin());
        spin.succeeded();
        assert_eq!(failed_spins(&spin, 5), 5);
    }
}
