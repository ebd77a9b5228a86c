//! Whether it pays to spin for something before parking, learnt from how it went lately.
//!
//! Spinning pays while whoever is waited for runs on another core at this moment, and never when it does not: when
//! the machine is busy, or when it needs the very worker that spins. Nobody can know, but it tends to stay the
//! same for a while.

use std::sync::atomic::{AtomicI8, Ordering};

/// After a spin that succeeded: how many may fail in a row before spinning is given up.
const FULL: i8 = 8;
/// See the module's documentation. When spinning is given up, `REST` waits go without it before it is tried once
/// more.
///
/// Everything is relaxed, and a step that is lost to a race only changes a guess.
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

    /// Whether to spin this time. The one who does says how it went.
    pub(crate) fn should_spin(&self) -> bool {
        let spin = self.0.load(Ordering::Relaxed);
        if spin < 0 {
            self.0.store(spin + 1, Ordering::Relaxed);
        }
        spin >= 0
    }

    /// A spin got what it was for.
    pub(crate) fn succeeded(&self) {
        self.0.store(FULL, Ordering::Relaxed);
    }

    /// A spin was for nothing.
    pub(crate) fn failed(&self) {
        let spin = self.0.load(Ordering::Relaxed);
        self.0.store(if spin <= 0 { -REST } else { spin - 1 }, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Spins `waits` times where hope says so, all for nothing; how many were tried.
    fn tried_in_vain(spin: &AdaptiveSpin<64>, waits: usize) -> usize {
        (0..waits).filter(|_| spin.should_spin()).inspect(|_| spin.failed()).count()
    }

    #[test]
    fn it_is_given_up_after_some_failures_and_then_tried_now_and_then() {
        let spin = AdaptiveSpin::<64>::new();
        let in_a_row = tried_in_vain(&spin, 9);
        assert_eq!(in_a_row, 9);
        assert_eq!(tried_in_vain(&spin, 64), 0);
        assert_eq!(tried_in_vain(&spin, 65), 1);
    }

    #[test]
    fn it_comes_back_with_one_success() {
        let spin = AdaptiveSpin::<64>::new();
        tried_in_vain(&spin, 9 + 64);
        assert!(spin.should_spin());
        spin.succeeded();
        assert_eq!(tried_in_vain(&spin, 5), 5);
    }
}
