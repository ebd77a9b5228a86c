//! The calling fiber: its handle, `park` and `unpark`, `yield_now`. They have the shape of `std::thread`'s, and work on plain OS
//! threads as well.

#![expect(unsafe_code, reason = "asks the running fiber for its identity")]

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use crate::cell::{Fiber, FiberId, Flags, Labels, Outcome, Reason};
use crate::park::{self as waits, Cost};
use crate::scheduler;

thread_local! {
    /// The handle of a plain OS thread.
    static THREAD: OnceCell<Fiber> = const { OnceCell::new() };
}

/// A handle to the calling fiber, or to the calling plain thread. Mirrors [`std::thread::current`].
///
/// The handle tells the fiber's id and name, and [unparks](Fiber::unpark) or [cancels](Fiber::cancel) the fiber. It may be
/// cloned and kept after the fiber has ended. A plain thread has the name that std knows.
///
/// ```
/// # abaca::run(|| {
/// let id = abaca::current().id();
/// assert_ne!(abaca::spawn(|| abaca::current().id()).join().unwrap(), id);
/// # });
/// ```
#[must_use]
pub fn current() -> Fiber {
    match scheduler::current_fiber() {
        Some(me) => {
            // SAFETY: the caller is this fiber.
            let header = unsafe { me.as_ref() };
            let is_new = header.peek_identity().is_none();
            let fiber = header.identity();
            if is_new {
                fiber.identity().attach(me);
            }
            fiber
        }
        None => {
            let make = || Fiber::with_id(FiberId::of_thread(), std::thread::current().name().map(Box::from));
            // While the thread's locals are destroyed, the handle may be gone. A new one is as good, but for its park token.
            THREAD.try_with(|thread| thread.get_or_init(make).clone()).unwrap_or_else(|_| make())
        }
    }
}

/// Changes the labels of the calling fiber, or plain thread.
pub(crate) fn change_labels(change: impl FnOnce(&Labels) -> Labels) {
    current().identity().change_labels(change);
    if let Some(me) = scheduler::current_fiber() {
        // SAFETY: the caller is this fiber.
        unsafe { me.as_ref() }.set_flag(Flags::LABELLED);
    }
}

/// The id of the calling fiber or plain thread. It works in the destructors at the end of a thread as well.
pub(crate) fn current_id() -> FiberId {
    if waits::on_fiber() { current().id() } else { FiberId::of_thread() }
}

/// Blocks until the calling fiber's token is available, and takes the token. Mirrors [`std::thread::park`].
///
/// Each fiber, and each plain thread, has one token, which is absent at first. [`unpark`](Fiber::unpark) makes it available. So
/// an `unpark` that comes before the `park` is not lost, and several of them count as one. What the unparking side did before
/// `unpark` is visible after `park` returns.
///
/// Unlike std's, it does not return without a token; do not rely on that, and look at what you wait for in a loop. If the fiber
/// is [cancelled](crate::cancel), it unwinds from here.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// # abaca::run(|| {
/// let flag = Arc::new(AtomicBool::new(false));
/// let waiting = abaca::spawn({
///     let flag = Arc::clone(&flag);
///     move || {
///         while !flag.load(Ordering::Acquire) {
///             abaca::park();
///         }
///     }
/// });
/// flag.store(true, Ordering::Release);
/// waiting.fiber().unpark();
/// waiting.join().unwrap();
/// # });
/// ```
pub fn park() {
    park_until(None);
}

/// Like [`park`], for at most `timeout`. Mirrors [`std::thread::park_timeout`].
///
/// It does not tell whether the token or the time ended the wait: look at what you wait for, and at the clock. A timeout of
/// zero takes the token if it is there. One beyond the range of the clock never ends the wait.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// # abaca::run(|| {
/// let begin = Instant::now();
/// abaca::park_timeout(Duration::from_millis(1)); // nobody unparks
/// assert!(begin.elapsed() >= Duration::from_millis(1));
/// # });
/// ```
pub fn park_timeout(timeout: Duration) {
    // A deadline beyond the clock's range never comes.
    park_until(Instant::now().checked_add(timeout));
}

fn park_until(deadline: Option<Instant>) {
    waits::spend(Cost::Wait);
    let me = current();
    let waiter = waits::waiter();
    if !me.identity().token.arm(&waiter) {
        return;
    }
    let outcome = waits::wait(&waiter, Reason::Park, deadline);
    if outcome != Outcome::Notified {
        me.identity().token.disarm();
    }
    if outcome == Outcome::Cancelled {
        waits::unwind();
    }
}

impl Fiber {
    /// Makes the fiber's token available: ends its [`park`], or lets its next one return at once. Mirrors
    /// [`std::thread::Thread::unpark`].
    ///
    /// It does not wait, and works from any fiber or thread. It has no effect on a fiber that has ended.
    pub fn unpark(&self) {
        waits::spend(Cost::Call);
        if let Some(woken) = self.identity().token.make_available() {
            waits::wake(woken);
        }
    }
}

/// Lets the other fibers of this worker run before the caller goes on, those that are ready; on a plain thread, the other threads. A fiber that
/// has not started comes in between some of the calls.
/// Mirrors [`std::thread::yield_now`].
///
/// For a computation that calls nothing of abaca's for a long time. A fiber that was cancelled unwinds from here, as from
/// [`cancel::checkpoint`](crate::cancel::checkpoint), which lets nobody else run.
///
/// ```
/// # abaca::run(|| {
/// let mut sum = 0_u64;
/// for n in 0..1_000_000 {
///     sum += n;
///     if n % 100_000 == 0 {
///         abaca::yield_now();
///     }
/// }
/// # assert_eq!(sum, 499_999_500_000);
/// # });
/// ```
#[inline]
pub fn yield_now() {
    waits::yield_now();
}
