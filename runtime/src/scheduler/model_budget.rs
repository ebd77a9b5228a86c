//! What `budget` is under loom: there is none, since models end anyway.

use super::Cost;

#[expect(missing_docs, reason = "models have no documentation")]
#[inline(always)]
pub fn spend(_cost: Cost) {}

#[inline(always)]
pub(crate) fn spend_as(_cost: impl FnOnce() -> Cost) {}

#[derive(Debug, Default)]
pub(super) struct Pace;

impl Pace {
    pub(super) fn forget(&self) {}
}
