//! How to wait awake for what another core is about to do.

use super::{spin_loop, thread_yield};

/// Pauses between looks, or attempts, each so many spin hints long; where they are used up, the core is offered to other
/// threads instead. The lengths are measured where they are used.
///
/// A waiter that gives up takes the pauses [`while there are some`](Self::is_used_up); one that cannot, as the other side is a few
/// instructions away, goes on.
pub(crate) struct Backoff {
    pauses: &'static [u32],
    taken: usize,
}

/// About a microsecond in all, looking as often as possible: several times as long as what is done under a spin lock, and far below
/// a time slice.
pub(crate) const CLOSE_BY: &[u32] = &[1; 64];

impl Backoff {
    /// No pause has been taken. Models have none: only an offer lets another of their threads run.
    #[inline]
    pub(crate) const fn new(pauses: &'static [u32]) -> Self {
        Self { pauses: if cfg!(loom) { &[] } else { pauses }, taken: 0 }
    }

    /// Whether the next pause offers the core.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.taken == self.pauses.len()
    }

    /// Takes the next pause.
    #[inline]
    pub(crate) fn pause(&mut self) {
        match self.pauses.get(self.taken) {
            Some(hints) => {
                self.taken += 1;
                spin(*hints);
            }
            None => thread_yield(),
        }
    }
}

/// Waits without touching memory, for that many spin hints.
#[inline]
pub(crate) fn spin(hints: u32) {
    for _ in 0..hints {
        spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_taken_once_and_then_the_core_is_offered() {
        let mut backoff = Backoff::new(&[1, 2]);
        for _ in 0..2 {
            assert!(!backoff.is_used_up());
            backoff.pause();
        }
        assert!(backoff.is_used_up());
        backoff.pause();
        assert!(backoff.is_used_up());
    }
}
