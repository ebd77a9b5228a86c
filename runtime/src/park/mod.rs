//! The blocking primitive, for building your own primitives. **Unstable**: this module may change in any release.
//!
//! Everything that blocks in abaca (a mutex, a channel, a join, a read from a socket) parks its fiber or plain thread in the same
//! way. So the same deadlines and [cancellations](crate::cancel) end every wait. This module is to [`sync`](crate::sync) and
//! [`channel`](crate::channel) what parking_lot_core is to parking_lot: a few items to build other primitives that wait as they
//! do. `abaca::promise` and `abaca::actor` are built on this module and on the rest of the public API.
//!
//! * [`WaitQueue`]: a state under a short lock, with a queue of fibers and threads that wait for it to change.
//! * [`spend`]: called once in each call of a primitive, so that a loop of calls that never wait starves no other fiber.
//! * [`is_refused`]: asked by the destructor of a closure that never ran.
//!
//! A gate that is closed until it is opened once:
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
//!     // Deadlines and cancellations end this wait like any other.
//!     let soon = std::time::Duration::from_millis(1);
//!     assert!(abaca::time::timeout(soon, || Gate::new().pass()).is_err());
//! });
//! ```

// Every wait of the runtime makes a `Waiter` with `waiter`, registers it where its waker will find it, and calls `wait`. The
// waker claims the waiter and passes the wake-up to `wake`. `README.md` beside this file tells how it works.

#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod attendant;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod by_address;
pub(crate) mod cancel;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod dated;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod deferred;
pub(crate) mod holder;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod interrupts;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod key;
pub(crate) mod latch;
#[cfg(all(test, loom))]
mod model_cancel;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod notes;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod overtaken;
#[cfg_attr(loom, path = "model_primitive.rs")]
pub(crate) mod primitive;
mod thread;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod trust;
#[cfg(any(feature = "own-tls", all(test, loom)))]
pub(crate) mod turn;
mod wait;
pub(crate) mod wait_list;
mod wait_queue;

pub use crate::scheduler::{Cost, spend};
pub use cancel::is_refused;
pub use wait_queue::{WaitQueue, WaitQueueGuard, Wakeup};

pub(crate) use crate::scheduler::cancel::{cancel, end_wait_within};
pub(crate) use crate::scheduler::{is_alone, spend_as, spend_locked, wake, wake_and_tell};
#[cfg(feature = "own-tls")]
pub(crate) use cancel::note_ended_call;
pub(crate) use cancel::{
    Cancellation, begin_cancellation, can_be_refused, is_cancelled, is_cancelling, require_unwinding,
    run_inside, shield, unwind, unwinds_cancelled, was_cancelled_last, with_chain,
};
pub(crate) use latch::Latch;
#[cfg(feature = "own-tls")]
pub(crate) use wait::wait_shielded;
pub(crate) use wait::{block_on, on_fiber, wait, wait_within, waiter, yield_now};
