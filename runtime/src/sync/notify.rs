//! `Notify`: tokio's, as blocking calls.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::atomic::const_fn;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// Lets one fiber (or thread) tell another that something has happened, as tokio's `Notify`, with blocking calls.
///
/// It is a semaphore with at most one permit: a notification that comes before the one who waits for it is kept.
///
/// ```
/// use abaca::sync::{Arc, Notify};
///
/// # abaca::run(|| {
/// let notify = Arc::new(Notify::new());
/// notify.notify_one(); // is kept
/// notify.notified();
/// let waiter = abaca::spawn({
///     let notify = Arc::clone(&notify);
///     move || notify.notified()
/// });
/// notify.notify_one();
/// waiter.join().unwrap();
/// # });
/// ```
pub struct Notify(SpinLock<State>);

// Each change is whole before anything can panic.
impl UnwindSafe for Notify {}
impl RefUnwindSafe for Notify {}

struct State {
    /// A notification is kept for the next who asks.
    kept: bool,
    /// Counts the calls of `notify_waiters`.
    calls: u64,
    /// Each with the number of calls before it came.
    waiters: WaitList<u64>,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<u64> {
        &mut self.waiters
    }
}

impl Notify {
    const_fn! {
        /// One without a notification.
        pub const fn new() -> Self {
            Self(SpinLock::new(State { kept: false, calls: 0, waiters: WaitList::new() }))
        }
    }

    /// Waits for a notification, in the order of coming, and takes it. A call that is cancelled takes none.
    pub fn notified(&self) {
        self.notified_until(None);
    }

    /// [`notified`](Self::notified), for at most `timeout`; whether there was one.
    pub fn notified_timeout(&self, timeout: Duration) -> bool {
        // A deadline beyond the clock's range never comes.
        self.notified_until(Instant::now().checked_add(timeout))
    }

    fn notified_until(&self, deadline: Option<Instant>) -> bool {
        park::spend(Cost::Wait);
        let mut state = self.0.lock();
        if std::mem::take(&mut state.kept) {
            return true;
        }
        let calls = state.calls;
        match wait_list::wait(state, State::waiters, End::Back, calls, Reason::Notify, deadline, || ()).0 {
            Outcome::Notified => true,
            Outcome::TimedOut => false,
            Outcome::Cancelled => park::unwind(),
        }
    }

    /// Ends the wait of the one who has waited longest. If nobody waits, the next one will not have to; a second
    /// notification before that changes nothing.
    pub fn notify_one(&self) {
        park::spend(Cost::Call);
        let mut state = self.0.lock();
        let woken = state.waiters.pop_front();
        state.kept |= woken.is_none();
        drop(state);
        if let Some(woken) = woken {
            park::wake(woken);
        }
    }

    /// Ends the waits of all who wait now. Nothing is kept for later.
    pub fn notify_waiters(&self) {
        park::spend(Cost::Call);
        let mut state = self.0.lock();
        let before = state.calls;
        state.calls += 1;
        // One at a time, since a wake-up can be a system call; who comes meanwhile is not among them.
        while let Some((woken, _)) = state.waiters.pop_front_replacing(|calls| *calls <= before, before) {
            drop(state);
            park::wake(woken);
            state = self.0.lock();
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}
