//! The calling fiber: its handle, `park` and `unpark`, `yield_now`. The shape is `std::thread`'s, and
//! all of it works on plain OS threads as well.

#![expect(unsafe_code, reason = "asks the running fiber for its identity")]

use std::cell::{Cell, OnceCell};
use std::time::{Duration, Instant};

use crate::cell::{Fiber, FiberId, Outcome, Reason};
use crate::park::{self as waits, Cost};
use crate::scheduler;

thread_local! {
    /// The handle of a plain OS thread.
    static THREAD: OnceCell<Fiber> = const { OnceCell::new() };
    /// Its id, which is there for the destructors of other thread-locals as well.
    static THREAD_ID: Cell<Option<FiberId>> = const { Cell::new(None) };
}

/// The handle of the calling fiber, or of the calling plain thread. Mirrors [`std::thread::current`].
///
/// ```
/// # abaca::run(|| {
/// let id = abaca::current().id();
/// assert_ne!(abaca::spawn(|| abaca::current().id()).join().unwrap(), id);
/// # });
/// ```
pub fn current() -> Fiber {
    match scheduler::current_fiber() {
        Some(me) => {
            // SAFETY: the caller is this fiber.
            let header = unsafe { me.as_ref() };
            let is_new = header.peek_identity().is_none();
            let fiber = header.identity();
            if is_new {
                fiber.identity().aim(me);
            }
            fiber
        }
        None => {
            let make = || Fiber::with_id(thread_id(), std::thread::current().name().map(Box::from));
            // While the thread's locals are destroyed the handle may be gone: this one is as good, but for its token.
            THREAD.try_with(|thread| thread.get_or_init(make).clone()).unwrap_or_else(|_| make())
        }
    }
}

/// The id of the calling plain thread.
fn thread_id() -> FiberId {
    THREAD_ID.get().unwrap_or_else(|| {
        let id = FiberId::next();
        THREAD_ID.set(Some(id));
        id
    })
}

/// The id of the calling fiber or plain thread, also in destructors at the thread's end.
pub(crate) fn current_id() -> FiberId {
    if waits::on_fiber() { current().id() } else { thread_id() }
}

/// Blocks until the calling fiber's [`unpark`](Fiber::unpark) has been called since the last `park`. Mirrors
/// [`std::thread::park`].
///
/// Unlike std's, it does not return spuriously; code should not rely on that.
///
/// ```
/// # abaca::run(|| {
/// let sleeper = abaca::spawn(abaca::park);
/// sleeper.fiber().unpark();
/// sleeper.join().unwrap();
/// # });
/// ```
pub fn park() {
    park_until(None);
}

/// [`park`], for at most `timeout`. Mirrors [`std::thread::park_timeout`].
///
/// ```
/// # use std::time::Duration;
/// # abaca::run(|| abaca::park_timeout(Duration::from_millis(1)));
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
    /// Ends the fiber's [`park`], or lets its next one return at once. Mirrors [`std::thread::Thread::unpark`].
    pub fn unpark(&self) {
        waits::spend(Cost::Call);
        if let Some(woken) = self.identity().token.make_available() {
            waits::wake(woken);
        }
    }
}

/// Lets the other fibers of this worker run before the caller goes on; on a plain thread, the other threads.
/// Mirrors [`std::thread::yield_now`].
///
/// ```
/// # abaca::run(|| abaca::yield_now());
/// ```
#[inline]
pub fn yield_now() {
    waits::yield_now();
}
