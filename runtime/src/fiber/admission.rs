//! Whether a runtime takes one more fiber.

use super::{Builder, SpawnError};
use crate::park;
use crate::scheduler::{Phase, Shared};

/// What becomes of a fiber that comes too late, as its runtime ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Late {
    /// It is not made.
    #[default]
    Fails,
    /// It is not made if its spawner can unwind, as one that is cancelled. Else it is, and is cancelled before it starts.
    Ends,
}

impl Builder {
    /// Has the fiber made even while the runtime ends, if its spawner cannot be told by an unwinding: in a destructor that runs because of
    /// one, in a shield. It is cancelled before it starts, as one that was spawned just before the end. For functions that spawn and
    /// return no error.
    #[doc(hidden)]
    pub fn even_at_the_end(mut self) -> Self {
        self.late = Late::Ends;
        self
    }
}

/// Counts a fiber that is about to be made.
#[inline]
pub(super) fn admit(shared: &Shared, late: Late) -> Result<(), SpawnError> {
    if shared.phase() != Phase::Running && (late == Late::Fails || park::can_be_refused()) {
        return Err(SpawnError::ShuttingDown);
    }
    count(shared)
}

/// As [`admit`], for a fiber that is a thread to the program: it may start others while the runtime ends without its threads.
#[cfg(feature = "own-tls")]
#[inline]
pub(super) fn admit_thread(shared: &Shared) -> Result<(), SpawnError> {
    if shared.ends_threads() {
        return Err(SpawnError::ShuttingDown);
    }
    count(shared)
}

#[inline]
fn count(shared: &Shared) -> Result<(), SpawnError> {
    if !shared.admit() {
        return Err(SpawnError::LimitReached { max_fibers: shared.max_fibers });
    }
    Ok(())
}
