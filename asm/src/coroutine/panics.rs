//! The panics of a coroutine that is suspended while it unwinds, in a destructor.
//!
//! std counts panics per thread. The panics of the coroutine would stay on the thread, and its resumer would
//! look as if it panicked. The only way to change the count is to begin and to catch unwindings. That takes stacks and
//! threads, and this crate starts no thread, so a runtime supplies a [`Carrier`]. Without a carrier the panics stay on the thread.

use std::cell::Cell;
use std::sync::OnceLock;

/// Functions that take panics off the calling thread's count, and put them on it again.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Carrier {
    /// Takes all panics off the count and returns their number. `None` if it cannot, and nothing has changed.
    pub take: fn() -> Option<usize>,
    /// Puts this number of panics on the count.
    pub restore: fn(usize),
}

static CARRIER: OnceLock<Carrier> = OnceLock::new();

/// Sets the carrier of the process. Only the first call has an effect.
#[doc(hidden)]
pub fn set_carrier(carrier: Carrier) {
    let _ = CARRIER.set(carrier);
}

/// In place of a count: the coroutine's panics stay on the thread.
pub(super) const LEFT_ALONE: usize = usize::MAX;

/// Stores in `standing` how many panics are under way on the calling thread, which resumes a coroutine.
#[cold]
#[inline(never)]
pub(super) fn note(standing: &Cell<usize>) {
    if standing.get() == LEFT_ALONE {
        return;
    }
    let counted = CARRIER.get().and_then(|carrier| {
        let count = (carrier.take)()?;
        (carrier.restore)(count);
        Some(count)
    });
    standing.set(counted.unwrap_or(LEFT_ALONE));
}

/// Panics that were taken off a thread. They are put on it again when this is dropped.
pub(super) struct Taken(usize);

impl Taken {
    /// Whether it is any.
    pub(super) fn is_some(&self) -> bool {
        self.0 > 0
    }

    /// Takes off all but `standing`.
    pub(super) fn all_but(standing: usize) -> Self {
        let taken = CARRIER.get().and_then(|carrier| {
            let all = (carrier.take)()?;
            let standing = standing.min(all);
            (carrier.restore)(standing);
            Some(all - standing)
        });
        Self(taken.unwrap_or(0))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(carrier) = CARRIER.get() {
            (carrier.restore)(self.0);
        }
    }
}
