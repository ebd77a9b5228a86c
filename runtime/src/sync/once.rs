//! `Once`: std's, for fibers and threads alike: others wait, parked, while one runs.
//!
//! | state | means |
//! |---|---|
//! | `INCOMPLETE` | nobody has run it |
//! | `POISONED` | the last who ran it panicked |
//! | `RUNNING` | somebody runs it; the others are in the list |
//! | `COMPLETE` | it has run: this does not change any more |
//!
//! The state changes under the list's lock, so nobody joins the list of a call that has ended. The fast path reads
//! `COMPLETE` without it.

use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::atomic::{AtomicU32, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

const INCOMPLETE: u32 = 0;
const POISONED: u32 = 1;
const RUNNING: u32 = 2;
const COMPLETE: u32 = 3;

/// Runs something once, whoever comes first, as [`std::sync::Once`]; the others wait for its end.
///
/// An initialisation that panics poisons it, as in `std`. One that is cancelled has not happened: the next caller runs it.
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
    waiters: SpinLock<WaitList<()>>,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// What the closure of [`Once::call_once_force`] is told, as [`std::sync::OnceState`].
pub struct OnceState {
    poisoned: bool,
    /// What the state becomes when the closure has returned.
    next: Cell<u32>,
}

/// Somebody runs the closure; when this is dropped, the state becomes `next` and the waiters are woken.
struct Running<'a> {
    once: &'a Once,
    before: u32,
    next: Option<u32>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let next = self.next.unwrap_or_else(|| {
            // Who is cancelled leaves it as it was: another may run it.
            if park::unwinds_cancelled() { self.before } else { POISONED }
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
        /// One that has not run.
        pub const fn new() -> Self {
            Self { state: AtomicU32::new(INCOMPLETE), waiters: SpinLock::new(WaitList::new()) }
        }
    }

    /// Calls `f` if nobody has called it here before; returns when it has ended, whoever called it.
    ///
    /// Calling it again from within `f` waits for ever.
    ///
    /// # Panics
    ///
    /// If `f` panics, which poisons this; and if it is poisoned already.
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(false, &mut |_| f.take().expect("called once")());
        }
    }

    /// [`call_once`](Self::call_once), also if this is poisoned: then `f` is called again.
    ///
    /// # Panics
    ///
    /// If `f` panics, which poisons this.
    #[inline]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(true, &mut |state| f.take().expect("called once")(state));
        }
    }

    /// Whether the closure has ended without a panic. What it did is then visible to the caller.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // Acquire: pairs with the Release in the drop of `Running`.
        let is_completed = self.state.load(Ordering::Acquire) == COMPLETE;
        if !is_completed {
            park::spend(Cost::InVain);
        }
        is_completed
    }

    /// Waits until somebody has run it; it does not run anything itself.
    ///
    /// # Panics
    ///
    /// If it is poisoned.
    #[track_caller]
    pub fn wait(&self) {
        if !self.is_completed() {
            self.wait_until(|state| state == COMPLETE, false);
        }
    }

    /// [`wait`](Self::wait), also if it is poisoned: then until somebody runs it again without a panic.
    pub fn wait_force(&self) {
        if !self.is_completed() {
            self.wait_until(|state| state == COMPLETE, true);
        }
    }

    #[cold]
    #[track_caller]
    fn call(&self, is_forced: bool, f: &mut dyn FnMut(&OnceState)) {
        let Some(before) = self.begin(is_forced) else { return };
        let mut running = Running { once: self, before, next: None };
        let state = OnceState { poisoned: before == POISONED, next: Cell::new(COMPLETE) };
        f(&state);
        running.next = Some(state.next.get());
    }

    /// Takes on the duty to run it, and returns the state before; `None` if it has been run.
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
                drop(waiters);
                return Some(now);
            }
        }
    }

    /// Waits for such a state, and returns it.
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
            let waited = wait_list::wait(waiters, |list| list, End::Back, (), Reason::Once, None, || ());
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
    /// Whether the one who ran it before panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The closure has returned, and failed: it may be run again.
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
    //! Every interleaving of two that come first: one runs it, and both see what it did.

    #![expect(unsafe_code, reason = "loom checks accesses to a cell")]

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::Once;

    #[test]
    fn one_runs_it_and_all_see_what_it_did() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let shared = Arc::new((Once::new(), UnsafeCell::new(0)));
            let come = |shared: &(Once, UnsafeCell<u32>)| {
                // SAFETY: what is being checked: one runs this, before anybody reads.
                shared.0.call_once(|| shared.1.with_mut(|value| unsafe { *value += 1 }));
                // SAFETY: as above.
                assert_eq!(shared.1.with(|value| unsafe { *value }), 1);
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || come(&shared))
                })
                .collect();
            come(&shared);
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}
