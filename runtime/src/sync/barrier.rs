//! `Barrier`: std's, for fibers and threads alike.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::atomic::const_fn;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// Lets several fibers (or threads) wait until all of them have come, as [`std::sync::Barrier`].
///
/// One that is cancelled (or whose time is up) while it waits has not come: it does not count any more. If all have come
/// first, it passes as the others do.
///
/// ```
/// use abaca::sync::{Arc, Barrier};
///
/// # abaca::run(|| {
/// let barrier = Arc::new(Barrier::new(10));
/// let fibers: Vec<_> = (0..10)
///     .map(|_| {
///         let barrier = Arc::clone(&barrier);
///         abaca::spawn(move || barrier.wait().is_leader())
///     })
///     .collect();
/// let leaders = fibers.into_iter().map(|fiber| fiber.join().unwrap());
/// assert_eq!(leaders.filter(|is_leader| *is_leader).count(), 1);
/// # });
/// ```
pub struct Barrier {
    state: SpinLock<State>,
    needed: usize,
}

// What it counts is changed under its lock, by code that does not panic.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

struct State {
    /// Who has come and waits.
    waiting: usize,
    /// Counts the times that all have come.
    generation: usize,
    waiters: WaitList<()>,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<()> {
        &mut self.waiters
    }
}

/// Whether the one that waited was the last to come, as [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult(bool);

impl Barrier {
    const_fn! {
        /// A barrier for `n` to come. With 0 or 1, nobody waits.
        pub const fn new(n: usize) -> Self {
            let state = State { waiting: 0, generation: 0, waiters: WaitList::new() };
            Self { state: SpinLock::new(state), needed: n }
        }
    }

    /// Waits until all have come, and then begins anew. The last to come is the leader.
    pub fn wait(&self) -> BarrierWaitResult {
        park::spend(Cost::Wait);
        let mut state = self.state.lock();
        let generation = state.generation;
        state.waiting += 1;
        if state.waiting >= self.needed {
            state.waiting = 0;
            state.generation = generation.wrapping_add(1);
            drop(state);
            wait_list::wake_up_to(&self.state, State::waiters, usize::MAX);
            return BarrierWaitResult(true);
        }
        // More than one round only for one that came while those before were still being woken, and was woken as well.
        while state.generation == generation {
            let (outcome, ()) =
                wait_list::wait(state, State::waiters, End::Back, (), Reason::Barrier, None, || ());
            state = self.state.lock();
            // If all came in the meantime it has counted, so it passes as they do: a call that has done its work returns.
            if outcome != Outcome::Notified && state.generation == generation {
                state.waiting -= 1;
                drop(state);
                park::unwind();
            }
        }
        BarrierWaitResult(false)
    }
}

impl BarrierWaitResult {
    /// Whether this was the last to come. True for exactly one each time.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}
