//! Whether a runtime takes one more fiber.

use super::spawn_error::SpawnError;
use crate::scheduler::{Phase, Shared};

/// Counts a fiber that is about to be made.
#[inline]
pub(super) fn admit(shared: &Shared) -> Result<(), SpawnError> {
    if shared.phase() != Phase::Running {
        return Err(SpawnError::ShuttingDown);
    }
    admit_beyond_the_end(shared)
}

/// As [`admit`], whatever the runtime's phase.
#[inline]
pub(super) fn admit_beyond_the_end(shared: &Shared) -> Result<(), SpawnError> {
    if !shared.admit() {
        return Err(SpawnError::LimitReached { max_fibers: shared.max_fibers });
    }
    Ok(())
}
