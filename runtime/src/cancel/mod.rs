//! Cancellation: to end a fiber from outside, at its next blocking call.
//!
//! **The one rule.** A cancelled fiber unwinds from the blocking call it is in, or else from the next one that would
//! block, as a future would that is dropped there: destructors run, and `join` returns [`Cancelled`] as the payload.
//! It is never cancelled twice, never while it is already unwinding, and never inside of [`shield`].
//!
//! What cancels:
//!
//! * [`JoinHandle::cancel`](crate::JoinHandle::cancel) and [`Fiber::cancel`](crate::Fiber::cancel): the whole fiber;
//! * the runtime's shutdown: all of them;
//! * [`CancelToken`]: the code inside of [`run_until_cancelled`](CancelToken::run_until_cancelled);
//! * [`time::timeout`](crate::time::timeout): the code inside, when the time is up;
//! * [`try_scope`](crate::try_scope()): the scope's fibers and its body, when one of them fails;
//! * a cancelled fiber that waits in a [`scope`](crate::scope()) or [`JoinSet`](crate::JoinSet): the fibers in it.
//!
//! The last four end at a frame of the fiber, which then goes on. They nest; if several apply, the outermost wins.
//!
//! A call that has done its work returns, even if the cancellation comes first: no message that was received and no byte
//! that was read is lost to it. (A join that is cancelled detaches its fiber; use a `JoinSet` or a scope to keep it.)
//! [`copy_fd`](crate::io::copy_fd) and [`copy_bidirectional`](crate::io::copy_bidirectional) take from one side what the other has.
//! Of calls that std makes of several, such as `read_exact`, `read_line` or `write_all`, each is such a call, but how far they
//! came is not told, as with tokio's: use `read` and `write` where that matters. A call that only a thread can make, such as
//! those of [`fs`](crate::fs), goes on without its caller, unless it moves bytes: see [`blocking`](crate::blocking).
//!
//! A fiber that never blocks is not cancelled: call [`checkpoint`] in a long computation. A destructor that blocks
//! while its fiber unwinds waits to its end, and its neighbours go on. With `panic = "abort"` there is no unwinding: to
//! cancel is an error, which says so, and everything else works.
//!
//! A cancellation is not a panic: a lock that is held is released and not poisoned, and a [`Once`](crate::sync::Once)
//! whose initialiser is cancelled is run by the next caller. That of a [`LazyLock`](crate::sync::LazyLock), which cannot
//! be called twice, is shielded.
//!
//! Nothing may unwind through a function that C calls back. Inside of one, or of a frame that the unwinder does not know, a
//! fiber is as inside of a [`shield`]: a cancellation, timeout or token from outside of it takes effect at the first blocking
//! call after it has returned, and what is set up inside works there. A callback that catches its panics and passes them
//! on for itself is unwound to there. This is known of the code on the stack: of Rust's on x86-64 and AArch64, of C++'s as far
//! as its tables tell. It is not known of a call into C from a coroutine that a callback has resumed, and with a sanitizer or the
//! corosensei backend: then use a shield in the callback, or the process ends and says so.
//!
//! One thing to know: a [`coroutine`](crate::coroutine) that is suspended inside of a timeout, a token or a shield leaves
//! it in force for whoever resumed it: suspend outside of them.
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
pub use token::{CancelToken, DropGuard, WaitForCancellationFuture};

use crate::cell::Fiber;
use crate::park::{self, Cost};

/// Whether the caller's next blocking call will unwind. `false` inside of a [`shield`] that hides it.
pub fn is_cancelled() -> bool {
    park::spend(Cost::Call);
    park::is_cancelled()
}

/// Unwinds if the caller [`is_cancelled`]; for long computations that never block.
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
    if !std::thread::panicking() && park::is_cancelled() {
        park::unwind();
    }
}

impl Fiber {
    /// Cancels the fiber, unless it has ended; see [`JoinHandle::cancel`](crate::JoinHandle::cancel). A plain thread is not cancelled: the call has
    /// no effect on it.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    pub fn cancel(&self) {
        park::require_unwinding();
        park::cancel(self);
    }
}
