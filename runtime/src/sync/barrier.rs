//! `Barrier`: std's, for fibers and threads alike.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::atomic::const_fn;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// Lets several fibers (or threads) wait until all of them have arrived, as [`std::sync::Barrier`].
///
/// A participant whose wait is cancelled (or times out) has not arrived and no longer counts. If all have arrived before
/// that, it passes as the others do.
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
    participants: usize,
}

// The counts are changed under the lock, by code that does not panic.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

struct State {
    /// Participants that have arrived and wait.
    waiting: usize,
    /// Counts the times that all have arrived.
    generation: usize,
    waiters: WaitList<()>,
}

impl State {
    fn waiters(&mut self) -> &mut WaitList<()> {
        &mut self.waiters
    }
}

/// Says whether this participant was the last to arrive, as [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult(bool);

impl Barrier {
    const_fn! {
        /// Creates a barrier for `n` participants. With 0 or 1, no call waits.
        pub const fn new(n: usize) -> Self {
            let state = State { waiting: 0, generation: 0, waiters: WaitList::new() };
            Self { state: SpinLock::new(state), participants: n }
        }
    }

    /// Waits until all participants have arrived. The barrier can then be used again. The last to arrive is the leader.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::Barrier;
    ///
    /// let barrier = Barrier::new(2);
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| barrier.wait().is_leader());
    ///     assert_ne!(barrier.wait().is_leader(), other.join().unwrap());
    /// });
    /// ```
    pub fn wait(&self) -> BarrierWaitResult {
        park::spend(Cost::Wait);
        let mut state = self.state.lock();
        let generation = state.generation;
        state.waiting += 1;
        if state.waiting >= self.participants {
            state.waiting = 0;
            state.generation = generation.wrapping_add(1);
            drop(state);
            wait_list::wake_up_to(&self.state, State::waiters, usize::MAX);
            return BarrierWaitResult(true);
        }
        // Repeats only for a participant that arrived while the last generation was being woken, and was woken too.
        while state.generation == generation {
            let (outcome, ()) =
                wait_list::wait(state, State::waiters, End::Back, (), Reason::Barrier, None, || ());
            state = self.state.lock();
            // If all arrived in the meantime, this participant has counted and passes as the others do: a call whose work is
            // done returns.
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
    /// Whether this participant was the last to arrive: `true` for exactly one participant of each generation.
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
