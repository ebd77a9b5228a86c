//! Fibers, in the shape of [`std::thread`]: with `use abaca::fiber as thread`, a program that is written for threads becomes one
//! for fibers.
//!
//! # What a fiber is
//!
//! A fiber is a thread that the kernel does not know. It has a stack and a name of its own, and local values, and it is
//! spawned, joined, parked and unparked like a thread. It runs on one of the runtime's *workers*, which are OS threads. When it
//! has to wait, it *parks*: its worker runs other fibers meanwhile. Any worker may start a fiber; once it has started, it stays
//! on that worker. The [crate page](crate#the-soundness-contract) says why.
//!
//! To spawn and join one takes about 100 ns, and a parked one takes some 5 kB of memory, so start one wherever it makes the code
//! simpler.
//!
//! # Spawning and joining
//!
//! ```
//! use abaca::fiber as thread;
//!
//! # abaca::run(|| {
//! let handle = thread::spawn(|| 6 * 7);
//! assert_eq!(handle.join().unwrap(), 42);
//! # });
//! ```
//!
//! | to spawn | function |
//! |---|---|
//! | from a fiber | [`spawn()`] |
//! | with a name or a stack size, or to get an error instead of a panic | [`Builder::spawn`] |
//! | a closure that borrows from the caller | [`scope()`]; [`try_scope`](crate::try_scope()) if one failure is to end all |
//! | a closure that is not `Send` | [`spawn_local`] |
//! | many, joined in the order in which they end | [`JoinSet`](crate::JoinSet) |
//! | from a thread outside of the runtime | [`Runtime::spawn`](crate::Runtime::spawn) |
//! | a future | [`spawn_future`](crate::future::spawn_future) |
//!
//! * **Dropping a [`JoinHandle`] detaches the fiber.** It runs on, and nobody learns its result. Dropping a `JoinSet` cancels its
//!   fibers; leaving a scope joins them.
//! * **A panic ends the fiber, not the process.** [`join`](JoinHandle::join) returns the payload as its error. A panic in the
//!   main fiber goes on in the caller of [`run`](fn@crate::run).
//! * **At the end of [`run`](fn@crate::run), what is left is cancelled.** When the main fiber returns, the other fibers unwind
//!   from the blocking call that they are in, and their destructors run; threads would be gone without a word. Join what has to
//!   be finished.
//! * **[`cancel`](JoinHandle::cancel) ends a fiber from outside**, which threads do not have; see [`cancel`](mod@crate::cancel).
//!
//! # Parking
//!
//! [`park`], [`park_timeout`] and [`Fiber::unpark`] are std's. They, [`current()`], [`sleep()`] and [`yield_now`] work on plain
//! threads as well, so that threads and fibers can wake each other.
//!
//! # Local values
//!
//! [`fiber_local!`](crate::fiber_local) declares a value that each fiber has for itself. A `thread_local!` belongs to the
//! worker: all fibers of that worker see the same one.
//!
//! # Names
//!
//! [`Builder::name`] names a fiber. The name is shown when the fiber panics, overflows its stack or stalls its worker. The main
//! fiber is called `main`, other fibers have no name by default.
//!
//! # Stack size
//!
//! A stack has 256 KiB in a release build and 2 MiB in one with debug assertions, of address space: only pages that are touched
//! cost memory. [`Builder::stack_size`] sets it for one fiber,
//! [`runtime::Builder::stack_size`](crate::runtime::Builder::stack_size) for all, and says what some common calls need. Below
//! each stack is a guard: an overflow ends the process by SIGSEGV, after a report that names the fiber and says what to raise.
//!
//! # What differs from threads
//!
//! * Fibers are not preempted: a fiber that computes for long holds up the others of its worker. See
//!   [the crate page](crate#who-gets-a-turn).
//! * A call that blocks without abaca's knowledge, such as [`std::thread::sleep`], blocks the worker. See
//!   [`what_blocks`](crate::guide::what_blocks).
//!
//!   With `runtime::Builder::own_tls` (feature `own-tls`) neither keeps the others waiting.
//! * [`spawn()`] needs a runtime, and starts nothing any more once that is shutting down.

// What a fiber is made of is in `cell/`; how it waits, in `park/`.

mod admission;
mod builder;
mod current;
pub(crate) mod join_future;
mod join_handle;
pub(crate) mod join_set;
mod local_key;
#[cfg(feature = "own-tls")]
mod pin;
mod scope;
mod scope_fibers;
mod spawn;
mod spawn_error;
#[cfg(feature = "own-tls")]
mod threads;
pub(crate) mod try_scope;

pub use std::thread::{Result, available_parallelism, panicking};

pub use crate::cell::{Cancelled, Fiber, Fiber as Thread, FiberId, FiberId as ThreadId};
#[expect(deprecated, reason = "std has it as well")]
pub use crate::time::sleeping::sleep_ms;
#[doc(inline)]
pub use crate::time::{sleep, sleep_until};
pub use builder::Builder;
pub use current::{current, park, park_timeout, yield_now};
pub use join_handle::JoinHandle;
pub use local_key::{AccessError, LocalKey};
#[cfg(feature = "own-tls")]
pub use pin::{Pinned, pin};
pub(crate) use scope::ScopeShared;
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::{spawn, spawn_local};
pub use spawn_error::SpawnError;

pub(crate) use current::{change_labels, current_id};
