//! The panics of a coroutine that is suspended while it unwinds, in a destructor.
//!
//! std counts panics per thread. Those of the coroutine would stay behind on the thread, and whoever goes on there would
//! look as if it panicked. There is no way to change the count but to begin and to catch unwindings, which takes stacks and
//! threads, and this crate starts no thread: a runtime brings its [`Carrier`]. Without one they stay where they are.

use std::sync::OnceLock;

/// How panics are taken off the calling thread's count, and put on it again.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Carrier {
    /// Takes all off; how many. `None` if it cannot: nothing has changed then.
    pub lift: fn() -> Option<usize>,
    /// Puts so many on.
    pub lower: fn(usize),
}

static CARRIER: OnceLock<Carrier> = OnceLock::new();

/// The first carrier is the one that is used.
#[doc(hidden)]
pub fn set_carrier(carrier: Carrier) {
    let _ = CARRIER.set(carrier);
}

/// In place of a count: the coroutine's panics stay where they are.
pub(super) const LEFT_ALONE: usize = usize::MAX;

/// How many panics are under way on the calling thread.
#[cold]
#[inline(never)]
pub(super) fn count() -> usize {
    let counted = CARRIER.get().and_then(|carrier| {
        let count = (carrier.lift)()?;
        (carrier.lower)(count);
        Some(count)
    });
    counted.unwrap_or(LEFT_ALONE)
}

/// Panics that were taken off a thread. They are put on it again when this is dropped.
pub(super) struct Lifted(usize);

impl Lifted {
    /// Takes off all but `standing`.
    pub(super) fn all_but(standing: usize) -> Self {
        let lifted = CARRIER.get().and_then(|carrier| {
            let all = (carrier.lift)()?;
            let standing = standing.min(all);
            (carrier.lower)(standing);
            Some(all - standing)
        });
        Self(lifted.unwrap_or(0))
    }
}

impl Drop for Lifted {
    fn drop(&mut self) {
        if let Some(carrier) = CARRIER.get() {
            (carrier.lower)(self.0);
        }
    }
}
