//! What everything that waits in the process is built on.
//!
//! Under loom, `model_parking.rs` takes the place of this file.

pub(crate) use crate::cancel::shield;
pub(crate) use crate::fiber::{Waiter, Woken};
pub(crate) use crate::park::{
    Cost, is_alone, is_elsewhere, on_fiber, spend, spend_as, unwind, unwinds_cancelled, wait, waiter, wake,
};
pub(crate) use crate::queue::{SpinGuard, SpinLock};
