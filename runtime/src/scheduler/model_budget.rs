//! Takes the place of `budget.rs` under loom: there is no budget, since models end anyway.

use super::Cost;

#[expect(missing_docs, reason = "models have no documentation")]
#[inline(always)]
pub fn spend(_cost: Cost) {}

#[inline(always)]
pub(crate) fn spend_as(_cost: impl FnOnce() -> Cost) {}

#[inline(always)]
pub(crate) fn spend_locked(_cost: Cost, _unlock: impl FnOnce(), _lock: impl FnOnce()) {}

#[derive(Debug, Default)]
pub(super) struct Pace;

impl Pace {
    pub(super) fn reset(&self) {}
}
