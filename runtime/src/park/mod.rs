//! Park and unpark, the one blocking primitive. `README.md` beside this file tells how it works.
//!
//! Every wait of the runtime (descriptor, timer, lock, channel, join) makes a [`Waiter`](crate::cell::Waiter) with
//! [`waiter`], puts it where its waker will find it, and calls [`wait`]. The waker claims the waiter and passes the claim to
//! [`wake`]. It works the same from a fiber and from a plain OS thread.

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

pub(crate) use crate::scheduler::cancel::{cancel, tell};
pub(crate) use crate::scheduler::{Cost, is_alone, is_elsewhere, spend, spend_as, wake};
pub(crate) use block::yield_now;
pub(crate) use cancel::{
    Cancellation, acknowledge, is_cancelled, is_obeyed, require_unwinding, run_inside, shield, unwind,
    unwinds_cancelled, with_chain,
};
pub(crate) use latch::Latch;
pub(crate) use wait::{on_fiber, wait, waiter};
