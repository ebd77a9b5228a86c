//! `Condvar`: std's, for fibers and threads alike.
//!
//! A waiter joins the list **before** it unlocks the mutex. So a notifier that changes the condition under the mutex
//! and then notifies finds every waiter that saw the condition unchanged.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::LockResult;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::mutex::{Held, MutexGuard, Released};
use crate::atomic::{AtomicUsize, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// A condition that fibers and threads wait for, as [`std::sync::Condvar`].
///
/// # Cancellation
///
/// A fiber that is cancelled in a wait unwinds **without** locking the mutex again. A notification that reached it
/// too late to be used goes to the next waiter.
///
/// # Examples
///
/// ```
/// use abaca::sync::{Condvar, Mutex};
///
/// let queue = Mutex::new(Vec::new());
/// let filled = Condvar::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         queue.lock().unwrap().push("job");
///         filled.notify_one();
///     });
///     let mut jobs = filled.wait_while(queue.lock().unwrap(), |jobs| jobs.is_empty()).unwrap();
///     assert_eq!(jobs.pop(), Some("job"));
/// });
/// ```
pub struct Condvar {
    /// How many have joined the list since it was created, less those that are known to have left. Zero means that
    /// there is nobody to notify.
    waiting: AtomicUsize,
    list: SpinLock<WaitList<()>>,
}

// A condition variable has no state that a panic could leave half-way.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// Whether a timed wait on a [`Condvar`] ended because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// `true` if the time was up, `false` if the wait was ended by a notification.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(());
    /// let (_guard, result) =
    ///     Condvar::new().wait_timeout(mutex.lock().unwrap(), Duration::from_millis(1)).unwrap();
    /// assert!(result.timed_out());
    /// ```
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    const_fn! {
        /// A condition that nobody waits for.
        ///
        /// # Examples
        ///
        /// ```
        /// static READY: abaca::sync::Condvar = abaca::sync::Condvar::new();
        /// READY.notify_all();
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { waiting: AtomicUsize::new(0), list: SpinLock::new(WaitList::new()) }
        }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again.
    ///
    /// It may also return without a notification, as every condition variable: check the condition in a loop, or use
    /// [`wait_while`](Self::wait_while).
    ///
    /// # Errors
    ///
    /// When the mutex is poisoned; the error contains the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// # use abaca::sync::{Condvar, Mutex};
    /// # let (ready, changed) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|scope| {
    ///     let mut guard = ready.lock().unwrap();
    ///     scope.spawn(|| {
    ///         *ready.lock().unwrap() = true;
    ///         changed.notify_one();
    ///     });
    ///     while !*guard {
    ///         guard = changed.wait(guard).unwrap();
    ///     }
    /// });
    /// ```
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).0
    }

    /// Waits as long as `condition` returns `true`.
    ///
    /// # Errors
    ///
    /// When the mutex is poisoned; the error contains the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// # use abaca::sync::{Condvar, Mutex};
    /// let ready = Mutex::new(true);
    /// let guard = Condvar::new().wait_while(ready.lock().unwrap(), |ready| !*ready).unwrap();
    /// assert!(*guard);
    /// ```
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Like [`wait`](Self::wait), but for no longer than `timeout`.
    ///
    /// The time includes neither waiting for the mutex afterwards nor being scheduled.
    ///
    /// # Errors
    ///
    /// When the mutex is poisoned; the error contains the guard and the result.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(0);
    /// let (guard, result) =
    ///     Condvar::new().wait_timeout(mutex.lock().unwrap(), Duration::from_millis(1)).unwrap();
    /// assert!(result.timed_out());
    /// assert_eq!(*guard, 0);
    /// ```
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        // A timeout that the clock cannot express is no timeout.
        let (guard, result) = self.wait_until(guard, Instant::now().checked_add(timeout));
        match guard {
            Ok(guard) => Ok((guard, result)),
            Err(error) => Err(PoisonError::new((error.into_inner(), result))),
        }
    }

    /// Waits as long as `condition` returns `true`, but for no longer than `timeout` in all.
    ///
    /// # Errors
    ///
    /// When the mutex is poisoned; the error contains the guard and the result.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let ready = Mutex::new(false);
    /// let (guard, result) = Condvar::new()
    ///     .wait_timeout_while(ready.lock().unwrap(), Duration::from_millis(1), |ready| !*ready)
    ///     .unwrap();
    /// assert!(result.timed_out() && !*guard);
    /// ```
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let start = Instant::now();
        while condition(&mut *guard) {
            let Some(left) = timeout.checked_sub(start.elapsed()) else {
                return Ok((guard, WaitTimeoutResult(true)));
            };
            guard = self.wait_timeout(guard, left)?.0;
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// Wakes one waiter, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// abaca::sync::Condvar::new().notify_one();
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        park::spend(Cost::Call);
        if self.waiting() != 0 {
            self.notify_up_to(1);
        }
    }

    /// Wakes everybody who waits at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// abaca::sync::Condvar::new().notify_all();
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        park::spend(Cost::Call);
        match self.waiting() {
            0 => {}
            // Those who come while this is under way join behind them.
            waiting => self.notify_up_to(waiting),
        }
    }

    #[inline]
    fn waiting(&self) -> usize {
        // Relaxed: whoever must be seen here joined before it unlocked the mutex under which the caller (or what
        // the caller has seen) changed the condition, so the mutex orders the count before this load.
        self.waiting.load(Ordering::Relaxed)
    }

    #[cold]
    fn notify_up_to(&self, limit: usize) {
        wait_list::wake_up_to(&self.list, |list| list, limit);
    }

    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        let held = MutexGuard::dissolve(guard);
        let (released, outcome) = self.join(held, deadline);
        let result = match outcome {
            Outcome::Notified => WaitTimeoutResult(false),
            // The deadline's claim came before any notification's, so none was spent on this waiter.
            Outcome::TimedOut => WaitTimeoutResult(true),
            Outcome::Cancelled => park::unwind(),
        };
        match released.lock() {
            Ok(guard) => (guard, result),
            Err(_cancelled) => {
                if outcome == Outcome::Notified {
                    self.notify_up_to(1);
                }
                park::unwind()
            }
        }
    }

    fn join<'a, T>(&self, held: Held<'a, T>, deadline: Option<Instant>) -> (Released<'a, T>, Outcome) {
        let list = self.list.lock();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut released = None;
        let (outcome, ()) = wait_list::wait(
            list,
            |list| list,
            End::Back,
            (),
            Reason::Condvar,
            deadline,
            || {
                released = Some(held.unlock());
            },
        );
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        (released.expect("the wait has released the mutex"), outcome)
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a wait and a notification.

    use std::time::Duration;

    use loom::sync::Arc;
    use loom::thread;

    use super::Condvar;
    use crate::sync::Mutex;

    fn check(model: impl Fn(&Mutex<u32>, &Condvar) + Copy + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let shared = Arc::new((Mutex::new(0), Condvar::new()));
            let theirs = Arc::clone(&shared);
            let thread = thread::spawn(move || {
                *theirs.0.lock().unwrap() += 1;
                theirs.1.notify_one();
            });
            model(&shared.0, &shared.1);
            thread.join().unwrap();
        });
    }

    #[test]
    fn a_notification_after_a_change_is_not_missed() {
        check(|mutex, changed| {
            let value = changed.wait_while(mutex.lock().unwrap(), |value| *value == 0).unwrap();
            assert_eq!(*value, 1);
        });
    }

    #[test]
    fn a_wait_that_times_out_has_the_lock_again() {
        check(|mutex, changed| {
            let guard = mutex.lock().unwrap();
            let (guard, result) = changed.wait_timeout(guard, Duration::ZERO).unwrap();
            assert!(result.timed_out() || *guard == 1);
        });
    }
}
