//! `Once`: std's, for fibers and threads alike. While one caller runs the closure, the others park.
//!
//! | state | means |
//! |---|---|
//! | `INCOMPLETE` | the closure has not run |
//! | `POISONED` | the closure panicked |
//! | `RUNNING` | a caller runs the closure; the others are in the list |
//! | `COMPLETE` | the closure has run: this state is final |
//!
//! The state changes under the list's lock, so no caller joins the list of a call that has ended. The fast path reads
//! `COMPLETE` without the lock.

use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::atomic::{AtomicU32, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::holder::Holder;
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

const INCOMPLETE: u32 = 0;
const POISONED: u32 = 1;
const RUNNING: u32 = 2;
const COMPLETE: u32 = 3;

/// Runs an initialisation once, by the first caller, as [`std::sync::Once`]. The others wait until it has ended.
///
/// As in `std`, an initialisation that panics poisons it. If it is cancelled, the next caller runs it.
///
/// ```
/// use abaca::sync::Once;
///
/// static START: Once = Once::new();
/// START.call_once(|| { /* once in the life of the process */ });
/// assert!(START.is_completed());
/// START.call_once(|| unreachable!());
/// ```
pub struct Once {
    state: AtomicU32,
    holder: Holder,
    waiters: SpinLock<WaitList<()>>,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// The argument of the closure of [`Once::call_once_force`], as [`std::sync::OnceState`].
pub struct OnceState {
    poisoned: bool,
    /// The state after the closure has returned.
    next: Cell<u32>,
}

/// A call of the closure under way. When this is dropped, the state becomes `next` and the waiters are woken.
struct CompletionGuard<'a> {
    once: &'a Once,
    before: u32,
    next: Option<u32>,
}

impl Drop for CompletionGuard<'_> {
    fn drop(&mut self) {
        let next = self.next.unwrap_or_else(|| {
            // A cancelled call leaves the state as it was: another caller may run the closure.
            if park::was_cancelled_last() { self.before } else { POISONED }
        });
        let waiters = self.once.waiters.lock();
        // Release: pairs with the Acquire of the fast path; publishes what the closure did.
        self.once.state.store(next, Ordering::Release);
        drop(waiters);
        wait_list::wake_up_to(&self.once.waiters, |list| list, usize::MAX);
    }
}

impl Once {
    const_fn! {
        /// Creates a `Once` that has not run.
        pub const fn new() -> Self {
            Self {
                state: AtomicU32::new(INCOMPLETE),
                holder: Holder::new(),
                waiters: SpinLock::new(WaitList::new()),
            }
        }
    }

    /// Calls `f` unless a closure has been called here before. Returns when that call has ended, whichever closure it was.
    ///
    /// A call from within `f` waits for ever.
    ///
    /// # Panics
    ///
    /// If `f` panics, which poisons this; or if this is poisoned already.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::Once;
    /// use std::cell::Cell;
    ///
    /// let (once, calls) = (Once::new(), Cell::new(0));
    /// once.call_once(|| calls.set(calls.get() + 1));
    /// once.call_once(|| calls.set(calls.get() + 1));
    /// assert_eq!(calls.get(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(false, &mut |_| f.take().expect("called once")());
        }
    }

    /// Like [`call_once`](Self::call_once), but if this is poisoned, `f` is called.
    ///
    /// # Panics
    ///
    /// If `f` panics, which poisons this.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::Once;
    /// use std::panic::catch_unwind;
    ///
    /// let once = Once::new();
    /// assert!(catch_unwind(|| once.call_once(|| panic!("poisons it"))).is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(true, &mut |state| f.take().expect("called once")(state));
        }
    }

    /// Whether a closure has ended without a panic. Its effects are then visible to the caller.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // Acquire: pairs with the Release in the drop of `CompletionGuard`.
        let is_completed = self.state.load(Ordering::Acquire) == COMPLETE;
        if !is_completed {
            park::spend(Cost::TryFailed);
        }
        is_completed
    }

    /// Waits until another caller has run its closure. It does not run anything itself.
    ///
    /// # Panics
    ///
    /// If this is poisoned.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::Once;
    ///
    /// static READY: Once = Once::new();
    /// let thread = std::thread::spawn(|| READY.call_once(|| ()));
    /// READY.wait();
    /// assert!(READY.is_completed());
    /// # thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        if !self.is_completed() {
            self.wait_until(|state| state == COMPLETE, false);
        }
    }

    /// Like [`wait`](Self::wait), but if this is poisoned, waits until another caller has run its closure without a panic.
    pub fn wait_force(&self) {
        if !self.is_completed() {
            self.wait_until(|state| state == COMPLETE, true);
        }
    }

    /// An address on the stack of the fiber or thread that runs its closure, as of late. `None` if nobody does.
    pub(crate) fn holder(&self) -> Option<usize> {
        if self.state.load(Ordering::Relaxed) == RUNNING { self.holder.address() } else { None }
    }

    #[cold]
    #[track_caller]
    fn call(&self, is_forced: bool, f: &mut dyn FnMut(&OnceState)) {
        let Some(before) = self.begin(is_forced) else { return };
        let mut guard = CompletionGuard { once: self, before, next: None };
        let state = OnceState { poisoned: before == POISONED, next: Cell::new(COMPLETE) };
        f(&state);
        guard.next = Some(state.next.get());
    }

    /// Enters `RUNNING` and returns the state before; `None` if the closure has been run.
    #[track_caller]
    fn begin(&self, is_forced: bool) -> Option<u32> {
        loop {
            let state = self.wait_until(|state| state != RUNNING, is_forced);
            let waiters = self.waiters.lock();
            let now = self.state.load(Ordering::Acquire);
            if now == COMPLETE {
                return None;
            }
            if now == state && now != RUNNING {
                self.state.store(RUNNING, Ordering::Relaxed);
                self.holder.note();
                drop(waiters);
                return Some(now);
            }
        }
    }

    /// Waits for a state that `is_reached` accepts, and returns it.
    #[track_caller]
    fn wait_until(&self, is_reached: impl Fn(u32) -> bool, is_forced: bool) -> u32 {
        loop {
            let waiters = self.waiters.lock();
            let state = self.state.load(Ordering::Acquire);
            if state == POISONED && !is_forced {
                drop(waiters);
                panic!("Once instance has previously been poisoned");
            }
            if is_reached(state) {
                return state;
            }
            let waited =
                wait_list::wait(waiters, |list| list, End::Back, (), Reason::Once.of(self), None, || ());
            if waited.0 != Outcome::Notified {
                park::unwind();
            }
        }
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl OnceState {
    /// Whether the closure panicked when it was run before.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Records that the closure has returned and failed: it may be run again.
    pub(super) fn fail(&self) {
        self.next.set(INCOMPLETE);
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of several first callers: one runs the closure, and all see its effects.

    #![expect(unsafe_code, reason = "loom checks accesses to a cell")]

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::Once;

    #[test]
    fn one_caller_runs_the_closure_and_all_see_its_effects() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let shared = Arc::new((Once::new(), UnsafeCell::new(0)));
            let call = |shared: &(Once, UnsafeCell<u32>)| {
                // SAFETY: one caller runs this, before any reads, which is the property under test.
                shared.0.call_once(|| shared.1.with_mut(|value| unsafe { *value += 1 }));
                // SAFETY: as above.
                assert_eq!(shared.1.with(|value| unsafe { *value }), 1);
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || call(&shared))
                })
                .collect();
            call(&shared);
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}
