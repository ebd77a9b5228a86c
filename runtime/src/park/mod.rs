//! The one blocking primitive, for primitives of your own. **Unstable**: this module may change in any release.
//!
//! A mutex, a channel, a join, a read from a socket: all that blocks in abaca parks its fiber, or its plain thread, in the same
//! way, and so is ended by the same deadlines and [cancellations](crate::cancel). What parking_lot_core is to parking_lot, this
//! module is to [`sync`](crate::sync) and [`channel`](crate::channel): a few items with which others can build what waits as
//! they do. `abaca::promise` and `abaca::actor` are built on it, and on nothing else that is not public.
//!
//! * [`WaitQueue`]: a state under a short lock, with a queue of those who wait for it to change.
//! * [`spend`]: called once for each call of a primitive, so that a loop of calls which never wait starves nobody.
//!
//! A gate, closed until somebody opens it, for good:
//!
//! ```
//! use abaca::park::{Cost, WaitQueue, spend};
//!
//! struct Gate(WaitQueue<bool>);
//!
//! impl Gate {
//!     const fn new() -> Self {
//!         Self(WaitQueue::new(false))
//!     }
//!
//!     fn pass(&self) {
//!         spend(Cost::Wait);
//!         loop {
//!             let is_open = self.0.lock();
//!             if *is_open {
//!                 return;
//!             }
//!             let _ = is_open.wait(None);
//!         }
//!     }
//!
//!     fn open(&self) {
//!         spend(Cost::Call);
//!         let mut is_open = self.0.lock();
//!         *is_open = true;
//!         is_open.notify_all();
//!     }
//! }
//!
//! static GATE: Gate = Gate::new();
//! abaca::run(|| {
//!     let waiting: Vec<_> = (0..3).map(|_| abaca::spawn(|| GATE.pass())).collect();
//!     GATE.open();
//!     waiting.into_iter().for_each(|fiber| fiber.join().unwrap());
//!     // Deadlines and cancellations work inside of it, as anywhere.
//!     let soon = std::time::Duration::from_millis(1);
//!     assert!(abaca::time::timeout(soon, || Gate::new().pass()).is_err());
//! });
//! ```

// Every wait of the runtime makes a `Waiter` with `waiter`, puts it where its waker will find it, and calls `wait`. The waker
// claims the waiter and passes the claim to `wake`. `README.md` beside this file tells how it works.

pub(crate) mod cancel;
pub(crate) mod latch;
#[cfg(all(test, loom))]
mod model_cancel;
#[cfg_attr(loom, path = "model_primitive.rs")]
pub(crate) mod primitive;
mod thread;
mod wait;
pub(crate) mod wait_list;
mod wait_queue;

pub use crate::scheduler::{Cost, spend};
pub use wait_queue::{WaitQueue, WaitQueueGuard, Wakeup};

pub(crate) use crate::scheduler::cancel::{cancel, tell};
pub(crate) use crate::scheduler::{is_alone, is_elsewhere, spend_as, wake};
pub(crate) use cancel::{
    Cancellation, acknowledge, is_cancelled, is_obeyed, require_unwinding, run_inside, shield, unwind,
    unwinds_cancelled, with_chain,
};
pub(crate) use latch::Latch;
pub(crate) use wait::{on_fiber, wait, waiter, yield_now};
