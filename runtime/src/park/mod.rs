//! Park and unpark, the one blocking primitive. `README.md` beside this file tells how it works.
//!
//! Every wait of the runtime (descriptor, timer, lock, channel, join) makes a [`Waiter`](crate::cell::Waiter) with
//! [`waiter`], registers it where its waker will find it, and calls [`wait`](wait()). The waker claims the waiter and passes
//! the wake-up to [`wake`]. Both work the same on a fiber and on a plain OS thread.

mod block;
pub(crate) mod cancel;
pub(crate) mod latch;
#[cfg(all(test, loom))]
mod model_cancel;
#[cfg_attr(loom, path = "model_primitive.rs")]
pub(crate) mod primitive;
mod thread;
mod wait;
pub(crate) mod wait_list;

pub(crate) use crate::scheduler::cancel::{cancel, end_wait_within};
pub(crate) use crate::scheduler::{Cost, is_alone, is_elsewhere, spend, spend_as, wake};
pub(crate) use block::yield_now;
pub(crate) use cancel::{
    Cancellation, begin_cancellation, is_cancelled, is_cancelling, require_unwinding, run_inside, shield,
    unwind, unwinds_cancelled, with_chain,
};
pub(crate) use latch::Latch;
pub(crate) use wait::{on_fiber, wait, waiter};
