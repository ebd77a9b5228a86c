//! The interface that all primitives within the process are built on.
//!
//! Under loom, `model_primitive.rs` takes the place of this file.

pub(crate) use super::{
    Cost, is_alone, on_fiber, shield, spend, spend_as, spend_locked, unwind, unwinds_cancelled, wait,
    wait_within, waiter, wake, wake_and_tell, was_cancelled_last,
};
pub(crate) use crate::cell::{Waiter, Wakeup};
pub(crate) use crate::queue::{Bias, Biasing, SpinGuard, SpinLock};
