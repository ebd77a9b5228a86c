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

use std::panic::resume_unwind;

pub use crate::fiber::Cancelled;
pub use token::{CancelToken, DropGuard, WaitForCancellationFuture};

use crate::fiber::{Boundary, Fiber, catch_and_resume};
use crate::park::{self, Cost};
use crate::spawn::JoinHandle;

/// Runs `f`, inside of which the caller is not cancelled by anything outside. Whatever was asked for meanwhile takes effect
/// at the first blocking call after.
///
/// Timeouts and tokens that are set up inside of `f` work there as usual. A function that C calls back is a shield by itself,
/// where that can be seen; see the [module](self).
///
/// ```
/// # use abaca::cancel::{is_cancelled, shield};
/// # abaca::run(|| {
/// let fiber = abaca::spawn(|| {
///     let saved = shield(|| {
///         abaca::current().cancel();
///         abaca::yield_now(); // would unwind outside of the shield
///         "saved"
///     });
///     assert!(is_cancelled());
///     saved
/// });
/// assert_eq!(fiber.join().unwrap(), "saved"); // it has not blocked since
/// # });
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    let mut boundary = Boundary::shield();
    let _inside = park::with_chain(|chain| chain.push(&mut boundary));
    f()
}

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

/// Runs `f` with `boundary` around it. `None` if that is where an unwinding ended.
pub(crate) fn run_inside<T>(boundary: &mut Boundary, f: impl FnOnce(&Boundary) -> T) -> Option<T> {
    park::require_unwinding();
    let inside = park::with_chain(|chain| chain.push(boundary));
    let boundary = inside.boundary();
    let result = catch_and_resume(&boundary.mark, || f(boundary));
    match result {
        Ok(value) => Some(value),
        Err(payload) => match payload.downcast_ref::<Cancelled>() {
            // A payload that was kept may name a boundary that has gone, whose address is now this one's.
            Some(cancelled) if boundary.was_thrown_to() && cancelled.target().is(boundary) => None,
            _ => resume_unwind(payload),
        },
    }
}

impl<T> JoinHandle<T> {
    /// Cancels the fiber: it unwinds from the blocking call it is in, or from its next one, and its join returns
    /// [`Cancelled`] as payload. A task that has not started never runs. See [`cancel`](crate::cancel).
    ///
    /// Returns at once; join the fiber to wait for its end.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::spawn(abaca::park);
    /// fiber.cancel();
    /// assert!(fiber.join().is_err());
    /// # });
    /// ```
    pub fn cancel(&self) {
        if !self.has_ended() {
            self.fiber().cancel();
        }
    }
}

impl Fiber {
    /// Cancels the fiber, unless it has ended; see [`JoinHandle::cancel`]. A plain thread is not cancelled: the call has
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
