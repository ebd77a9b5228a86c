//! Asymmetric coroutines: a computation on a stack of its own that is resumed with a value and suspends
//! with a value.
//!
//! A [`Coroutine`] needs no runtime. It runs where it is resumed, on the resumer's thread, and a backtrace
//! inside it goes on into the resumer. [`generator`] makes iterators of it.
//!
//! This module belongs to the crate `abaca_asm`, and is `abaca::coroutine` as well, as its examples have it.
//!
//! ```
//! # use abaca_asm as abaca;
//! use abaca::coroutine::{Coroutine, CoroutineResult};
//!
//! // Receives numbers, answers with their running sum, and ends at 0.
//! let mut sums = Coroutine::new(|yielder, mut number: u64| {
//!     let mut sum = 0;
//!     while number != 0 {
//!         sum += number;
//!         number = yielder.suspend(sum);
//!     }
//!     "done"
//! });
//! assert_eq!(sums.resume(3), CoroutineResult::Yield(3));
//! assert_eq!(sums.resume(4), CoroutineResult::Yield(7));
//! assert_eq!(sums.resume(0), CoroutineResult::Return("done"));
//! ```
//!
//! # Why a coroutine cannot be sent to another thread
//!
//! Whatever is alive across [`Yielder::suspend`] lies on the coroutine's stack, where the compiler cannot
//! see whether it is [`Send`]. So a coroutine is not:
//!
//! ```compile_fail,E0277
//! # use abaca_asm as abaca;
//! fn assert_send<T: Send>(_: T) {}
//! assert_send(abaca::coroutine::Coroutine::<(), (), ()>::new(|_, ()| {}));
//! ```
//!
//! And a yielder works on the thread of its coroutine only:
//!
//! ```compile_fail,E0277
//! # use abaca_asm as abaca;
//! use abaca::coroutine::Coroutine;
//! Coroutine::<(), (), ()>::new(|yielder, ()| {
//!     std::thread::scope(|threads| {
//!         threads.spawn(|| yielder.suspend(()));
//!     });
//! });
//! ```
//!
//! # Why borrowing needs a scope
//!
//! A coroutine can be forgotten while it is suspended, and then the destructors on its stack never run. If a
//! frame relied on its destructor to end a borrow, as `std::thread::scope` does, the borrowed data would go while
//! it is still in use. So everything that a [`Coroutine`] holds, and that goes in and out of it, must be
//! `'static`. [`scope`] allows borrowing, since it keeps the coroutine itself.
//!
//! ```compile_fail,E0373
//! # use abaca_asm as abaca;
//! use abaca::coroutine::Coroutine;
//! let local = String::from("borrowed");
//! Coroutine::<(), (), ()>::new(|_, ()| println!("{local}"));
//! ```
//!
//! # Panics and early ends
//!
//! A panic in a coroutine unwinds the coroutine's stack and goes on in [`Coroutine::resume`]. Dropping a
//! coroutine that is suspended unwinds it too, without calling the panic hook: its destructors run, on the
//! thread that drops it.
//!
//! * Code in the coroutine that catches this unwinding must let it go on. If it suspends again, the value
//!   is dropped and it is unwound again; a loop that catches and suspends forever hangs the drop.
//! * If a destructor suspends during an unwinding, the coroutine takes its panic along, provided that a runtime of `abaca` has
//!   been started in the process; otherwise `std::thread::panicking()` is true in the resumer meanwhile.
//! * A coroutine that is suspended in such a destructor cannot be unwound a second time. When it is dropped, and when its drop
//!   has forced the unwinding, a [`Coroutine`] is leaked with its stack: the destructors that are left do not run. The process
//!   aborts at the end of a [`scope`], and where no runtime has been started.
//! * With `panic = "abort"` nothing can be unwound: a [`Coroutine`] that is dropped while suspended is
//!   leaked with its stack, and a [`scope`] that ends before its coroutine aborts the process. A coroutine
//!   that has ended or was never resumed is dropped as always.
//!
//! # At the end of the thread
//!
//! A coroutine that is kept in a `thread_local!` is dropped when its thread ends, possibly after another thread-local that it
//! is using. So it is not unwound then, but leaked with its stack: **its destructors do not run**. The same
//! holds for a coroutine that another destructor drops at that time, and on the main thread during the process's exit. Resuming a
//! coroutine then panics, which aborts the process, as any panic does in the destructor of a thread-local. Take coroutines that
//! must end in order out before the thread ends:
//!
//! ```
//! # use abaca_asm as abaca;
//! use std::cell::RefCell;
//! use abaca::coroutine::Coroutine;
//!
//! thread_local!(static KEPT: RefCell<Option<Coroutine<(), (), ()>>> = const { RefCell::new(None) });
//! KEPT.set(Some(Coroutine::new(|yielder, ()| yielder.suspend(()))));
//! drop(KEPT.take()); // unwound here, if it is suspended
//! ```
//!
//! There are two limits. That the thread ends is known for sure only with glibc, and only when a coroutine is dropped. Elsewhere,
//! and when a coroutine is resumed, it is known if the thread made its first coroutine after it first used the thread-local in
//! which the coroutine is kept. So do not resume a coroutine in the destructor of a thread-local. A coroutine of a [`scope`]
//! always ends in the scope.
//!
//! The initialiser of a `thread_local!` must neither suspend nor resume a coroutine that uses the same key: std assumes that
//! nobody uses a value while its initialiser runs, and replaces a value that was made meanwhile.
//!
//! # Inside a fiber
//!
//! The body of a coroutine may park the fiber that resumed it. The switch then saves the stack that it is on, the coroutine's,
//! and the fiber goes on there.

mod end;
pub mod generator;
mod handle;
mod local;
mod panics;
mod result;
mod scoped;
mod unwinding;
mod yielder;

pub use handle::{Coroutine, default_pool};
#[doc(hidden)]
pub use panics::{Carrier, set_carrier};
pub use result::CoroutineResult;
pub use scoped::{Scoped, scope};
pub use yielder::Yielder;

pub use crate::stack::{DEFAULT_STACK_BYTES, StackError, StackPool};
