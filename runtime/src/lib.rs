//! abaca: a stackful green-thread runtime for Linux.
//!
//! You write plain blocking code; every green thread (a *fiber*) has a stack of its own; a switch is a few
//! hand-written instructions; a work-stealing scheduler runs millions of fibers on a few OS threads; a socket
//! call that would block parks the fiber, not the thread.
//!
//! ```
//! use abaca::fiber as thread; // `std::thread`'s shape
//!
//! abaca::run(|| {
//!     let handles: Vec<_> = (0..1000).map(|n| thread::spawn(move || n * 2)).collect();
//!     let sum: i32 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
//!     assert_eq!(sum, 999_000);
//! });
//! ```
//!
//! # The soundness contract
//!
//! Rust cannot check that what lives on a fiber's stack across a blocking call is `Send`. A fiber that moves
//! between threads while it holds an `Rc` from a thread-local, or a thread-local's address, is undefined
//! behaviour in safe code. abaca's answer:
//!
//! 1. [`spawn`](fn@spawn) is safe. Until it starts, a task may be taken by any worker. **Once started, a fiber
//!    stays on its home worker for life**, so thread-locals, `Rc`, thread ids and everything else that is bound
//!    to a thread behave as on any thread.
//! 2. [`spawn_local`] takes a closure that is not `Send`: it starts and stays on the current worker.
//! 3. Roaming is opt-in and unsafe: [`Builder::spawn_roaming`], whose contract says what may not be held across
//!    a blocking call.
//! 4. [`scope`](fn@scope) is closure-based and joins before it returns, also on unwinding.
//! 5. What is left, and no undefined behaviour: a `RefCell` or lock in a thread-local that is borrowed across a
//!    blocking call can be seen borrowed by another fiber of the same worker (a panic, or a deadlock).
//!    [`std::thread::panicking`] speaks of the fiber that asks: one that parks while it unwinds takes its panics with
//!    it. A fiber is never cancelled while it unwinds.
//! 6. After `fork` in a fiber, the child may only `exec` or `_exit`.
//!
//! # Who gets a turn
//!
//! Fibers are not preempted: one that only computes keeps its worker. But **every call of abaca's may let others run**, also one
//! that need not wait: a fiber that has made some two thousand calls in one turn gives way to those who are ready, sooner if the
//! calls are long, and timers and sockets are looked at every 200 us. A call that never waits (`try_recv`, a `send` without a bound,
//! `notify_one`) does so only after two thousand in one turn. So a loop over calls that are always ready starves nobody, and a loop that looks with `try_recv` until a neighbour has sent comes to an end. To give way is no
//! place to be cancelled: a call that does not wait does not unwind either.
//!
//! A guard of a `std::sync` lock that a neighbour takes, too, or a borrow of a `RefCell` in a thread-local, must not be held across
//! a call that may wait, nor throughout a loop of thousands of calls.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `actor` | yes | `abaca::actor`: fibers with a mailbox, links, monitors and supervisors |
//! | `macros` | yes | `#[abaca::main]` and `#[abaca::test]` |
//! | `promise` | yes | `abaca::promise`: values that arrive later, with callbacks and combinators |
//! | `backtrace` | no | `runtime::Builder::stall_backtrace`: where a fiber that stalls is in its code |
//! | `hyper` | no | `abaca::net::hyper`: hyper on abaca's sockets, timers and fibers |

#[cfg(feature = "actor")]
pub mod actor;
mod atomic;
pub mod blocking;
pub mod cancel;
mod cell;
pub mod channel;
pub mod fiber;
pub mod fs;
pub mod future;
#[cfg(all(any(doc, doctest), feature = "actor", feature = "macros"))]
pub mod guide;
pub mod io;
pub mod net;
mod os;
pub mod park;
mod poller;
mod pool;
pub mod process;
#[cfg(feature = "promise")]
pub mod promise;
mod queue;
pub mod runtime;
mod scheduler;
pub mod signal;
pub mod sync;
pub mod time;
mod timer;

pub use abaca_asm::coroutine;
#[cfg(feature = "macros")]
pub use abaca_macros::{main, test};
pub use cell::{Cancelled, Fiber};
pub use fiber::join_set::JoinSet;
pub use fiber::try_scope::{TryScope, try_scope};
pub use fiber::{Builder, JoinHandle, Scope, ScopedJoinHandle, SpawnError};
pub use fiber::{current, park, park_timeout, scope, spawn, spawn_local, yield_now};
pub use runtime::{Runtime, run};
pub use time::sleep;
