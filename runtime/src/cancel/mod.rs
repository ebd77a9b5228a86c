//! Cancellation: ending a fiber, or a part of its work, from outside.
//!
//! **The one rule.** A cancelled fiber unwinds from the blocking call that it is in, or else from the next call that would
//! block: destructors run, and `join` returns [`Cancelled`] as the payload. It is as if a future were dropped there. A fiber is
//! never cancelled twice, never while it is already unwinding, and never inside of a [`shield`]. What a destructor sets up for itself,
//! such as a timeout, works in there all the same.
//!
//! # What cancels
//!
//! | | cancels |
//! |---|---|
//! | [`JoinHandle::cancel`](crate::JoinHandle::cancel), [`Fiber::cancel`](crate::Fiber::cancel) | the whole fiber |
//! | the shutdown of the runtime | all of its fibers |
//! | [`CancellationToken`] | the code inside of [`run_until_cancelled`](CancellationToken::run_until_cancelled) |
//! | [`time::timeout`](fn@crate::time::timeout) | the code inside, when the time is up |
//! | [`try_scope`](crate::try_scope()) | the scope's fibers and its body, when one of them fails |
//! | the cancellation of a fiber that waits in a [`scope`](crate::scope()) or drops a [`JoinSet`](crate::JoinSet) | the fibers in it |
//!
//! Token, timeout and `try_scope` end at a frame of the fiber, which then goes on. They nest; if several apply, the outermost
//! wins.
//!
//! # What is not lost
//!
//! A call that has done its work returns, even if the cancellation comes first. So no message that was received and no byte
//! that was read is lost.
//!
//! * A join that is cancelled detaches its fiber. Use a `JoinSet` or a scope to keep it.
//! * Calls that std makes of several, such as `read_exact`, `read_line` or `write_all`, may be cancelled between two of them,
//!   and do not tell how far they came, as with tokio's. Use `read` and `write` where that matters.
//! * [`copy_fd`](crate::io::copy_fd) and [`copy_bidirectional`](crate::io::copy_bidirectional) take from one side only what
//!   they have given to the other.
//! * A call that only a thread can make, such as those of [`fs`](crate::fs), goes on without its caller, unless it moves bytes:
//!   see [`blocking`](crate::blocking).
//! * A cancellation is not a panic: a lock that is held is released and not poisoned. A [`Once`](crate::sync::Once) whose
//!   initialiser is cancelled is run by the next caller. The initialiser of a [`LazyLock`](crate::sync::LazyLock), which cannot
//!   be called twice, is shielded.
//!
//! # Code that is not cancelled
//!
//! * A fiber that never blocks: call [`checkpoint`] in a long computation.
//! * A destructor that blocks while its fiber unwinds: it waits to its end, while other fibers run. Nothing outside of the destructor
//!   ends that. A timeout, a token's code or a `try_scope` *inside* of it does, and unwinds to there; so it does in a panic hook. (A
//!   panic in a hook later, after a wait has been ended so, is then to std a second panic, and does not abort the process at once.)
//! * Code inside of a [`shield`].
//! * With `panic = "abort"` there is no unwinding: to cancel is a panic, whose message says so. Everything else works.
//!
//! # Callbacks from C
//!
//! Nothing may unwind through a function that C calls back. Inside of such a callback, or of a frame that the unwinder does not
//! know, a fiber is as inside of a [`shield`]: a cancellation, timeout or token from outside of it takes effect at the first
//! blocking call after the callback has returned. What is set up inside works there. If a callback catches its panics and
//! passes them on for itself, it is unwound up to there.
//!
//! Such frames are recognised in Rust code on x86-64 and AArch64, and in C++ code as far as its tables tell. They are not
//! recognised:
//!
//! * around a call into C from a coroutine that a callback has resumed;
//! * with a sanitizer, or with the corosensei backend. There a destructor that blocks while its fiber unwinds is not recognised either,
//!   if a timeout that was set up in yet another such destructor is around it.
//!
//! Use a shield in the callback there. Otherwise the process ends and says so.
//!
//! # Coroutines
//!
//! If a [`coroutine`](crate::coroutine) is suspended inside of a timeout or a token's code, that ends no wait of the code that
//! resumed it, and ends the coroutine's own waits once the same fiber or thread has resumed it. (On processors and backends where
//! the runtime sees no callbacks, the fiber unwinds to its end instead: suspend outside of them.) A shield stays in force for the
//! code that resumed the coroutine: suspend outside of one.
//!
//! # Example
//!
//! ```
//! # abaca::run(|| {
//! let sleeper = abaca::spawn(|| abaca::sleep(std::time::Duration::from_secs(3600)));
//! sleeper.cancel();
//! assert!(sleeper.join().unwrap_err().is::<abaca::Cancelled>());
//! # });
//! ```

mod token;

pub use crate::cell::Cancelled;
pub use crate::park::cancel::shield;
pub use token::{CancellationToken, DropGuard, WaitForCancellationFuture};

use crate::cell::Fiber;
use crate::park::{self, Cost};

/// Whether the caller's next blocking call will unwind: it has been cancelled, or the time of a timeout around it is up.
/// `false` inside of a [`shield`] that hides that.
///
/// ```
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| {
///     abaca::current().cancel();
///     (abaca::cancel::is_cancelled(), abaca::cancel::shield(abaca::cancel::is_cancelled))
/// });
/// assert_eq!(fiber.join().unwrap(), (true, false)); // it has not blocked, so it returned
/// # });
/// ```
pub fn is_cancelled() -> bool {
    park::spend(Cost::Call);
    park::is_cancelled()
}

/// Unwinds if the caller [is cancelled](is_cancelled). For long computations that never block.
///
/// ```
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| {
///     abaca::current().cancel();
///     loop {
///         abaca::cancel::checkpoint();
///     }
/// });
/// assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
/// # });
/// ```
pub fn checkpoint() {
    park::spend(Cost::Wait);
    if park::is_cancelled() {
        park::unwind();
    }
}

impl Fiber {
    /// Cancels the fiber, unless it has ended; see [`JoinHandle::cancel`](crate::JoinHandle::cancel). It has no effect on a plain
    /// thread.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let parked = abaca::spawn(abaca::park);
    /// parked.fiber().cancel();
    /// assert!(parked.join().unwrap_err().is::<abaca::Cancelled>());
    /// # });
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        park::require_unwinding();
        park::cancel(self);
    }
}
