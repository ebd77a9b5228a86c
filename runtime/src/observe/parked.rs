//! How many fibers wait, by what for: each worker counts its own in its hub, in steps of half a millisecond.

use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::collect;
use super::dump::elsewhere;
use super::object::name_of;
use crate::cell::{Flags, Header, Reason};
use crate::park;
use crate::scheduler::inspect::{Inspection, Standing, Step};
use crate::scheduler::{self, Shared, registry};

/// How long a step in a worker's hub takes.
const STEP: Duration = Duration::from_micros(500);

/// How many fibers are counted between two looks at the clock.
const BETWEEN_CLOCKS: usize = 64;

/// How long the workers are waited for.
const PATIENCE: Duration = Duration::from_millis(100);

/// The number of reasons.
const REASONS: usize = Reason::COUNT;

/// The count of all workers.
#[derive(Debug)]
struct Tally {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    counts: [u64; REASONS],
    /// By worker.
    workers: Vec<Queues>,
    /// The workers that have not counted yet.
    left: usize,
    is_abandoned: bool,
}

/// What a worker has for later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queues {
    /// Started fibers that can go on.
    pub(super) ready: usize,
    /// Timers of its fibers' waits.
    pub(super) timers: usize,
}

/// What was counted of a runtime.
#[derive(Debug, Default)]
pub(super) struct Standings {
    /// By the words for a reason, the fibers that wait for it; the most frequent one first.
    pub(super) parked: Vec<(&'static str, u64)>,
    /// By worker; empty if nothing was counted.
    pub(super) workers: Vec<Queues>,
}

/// One worker's part of the count.
#[derive(Debug)]
struct Part {
    worker: usize,
    tally: Arc<Tally>,
    step: Mutex<(Option<Instant>, usize)>,
}

impl Tally {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn step(&self) -> MutexGuard<'_, (Option<Instant>, usize)> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inspection for Part {
    fn begin_step(&self) -> Step {
        if self.tally.state().is_abandoned {
            return Step::None;
        }
        let before = self.step().0.replace(Instant::now());
        if before.is_none() { Step::First } else { Step::Next }
    }

    fn visit(&self, fiber: &Header, standing: Standing) {
        self.step().1 += 1;
        if standing == Standing::Suspended {
            let (reason, mut state) = (fiber.wait().0, self.tally.state());
            state.counts[reason as usize] += 1;
            let queues = &mut state.workers[self.worker];
            queues.ready += usize::from(reason == Reason::None);
            // A wait with a deadline of its own pins its fiber.
            let has_timer = reason == Reason::Sleep || fiber.has_noted_timer() || fiber.has(Flags::PINNED);
            queues.timers += usize::from(has_timer && reason != Reason::None);
        }
    }

    fn must_pause(&self) -> bool {
        let (began, visits) = *self.step();
        visits.is_multiple_of(BETWEEN_CLOCKS) && began.is_some_and(|began| began.elapsed() >= STEP)
    }

    fn end(&self) {
        self.tally.state().left -= 1;
        self.tally.changed.notify_all();
    }
}

/// Counts the fibers of the runtime. A worker that does not come to its hub in time is left out. Nothing is counted while somebody else
/// looks at the fibers, and if the caller is a fiber, which must not wait.
pub(super) fn standings(shared: &Shared) -> Standings {
    if park::on_fiber() { Standings::default() } else { count(shared) }
}

/// How many fibers of the calling fiber's runtime wait, by what for in the words of [`Wait::reason`](super::Wait::reason), the most
/// frequent first: what [`Metrics::parked`](super::Metrics::parked) says outside of fibers. Empty on a plain thread.
///
/// The calling fiber waits until each worker has counted, at most a tenth of a second, and is not among those that are counted.
///
/// ```
/// # abaca::run(|| {
/// let waits = abaca::spawn(abaca::park);
/// while abaca::observe::parked() != [("park", 1)] {
///     abaca::yield_now();
/// }
/// waits.fiber().unpark();
/// # waits.join().unwrap();
/// # });
/// ```
#[must_use]
pub fn parked() -> Vec<(&'static str, u64)> {
    let Some(worker) = scheduler::current_fiber().and(scheduler::current_worker()) else { return Vec::new() };
    let here = ptr::from_ref(worker.shared());
    match registry::all().into_iter().find(|one| ptr::eq(&raw const **one, here)) {
        Some(shared) => elsewhere(move |_| count_beside(&shared)).parked,
        None => Vec::new(),
    }
}

/// [`count`] for a fiber, which waits for this.
fn count_beside(shared: &Shared) -> Standings {
    let mut standings = count(shared);
    let caller = name_of(Reason::Blocking);
    if let Some((_, count)) = standings.parked.iter_mut().find(|(reason, _)| *reason == caller) {
        *count -= 1;
    }
    standings.parked.retain(|(_, count)| *count > 0);
    standings
}

fn count(shared: &Shared) -> Standings {
    let Some(_one) = collect::ONE_AT_A_TIME.try_lock() else { return Standings::default() };
    let has_roaming = shared.roaming_count() > 0;
    let busy = |index: &usize| shared.workers[*index].live().len() > 0 || has_roaming;
    let workers: Vec<_> = (0..shared.workers.len()).filter(busy).collect();
    let state = State {
        counts: [0; REASONS],
        workers: vec![Queues::default(); shared.workers.len()],
        left: workers.len(),
        is_abandoned: false,
    };
    let tally = Arc::new(Tally { state: Mutex::new(state), changed: Condvar::new() });
    for worker in workers {
        let part = Part { worker, tally: Arc::clone(&tally), step: Mutex::new((None, 0)) };
        shared.request_inspection(worker, Arc::new(part));
    }
    let waited = tally.changed.wait_timeout_while(tally.state(), PATIENCE, |state| state.left > 0);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    state.is_abandoned = true;
    let reasons = state.counts.iter().enumerate().skip(1).filter(|(_, count)| **count > 0);
    let mut parked: Vec<_> =
        reasons.map(|(reason, count)| (name_of(Reason::from_number(reason as u8)), *count)).collect();
    parked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Standings { parked, workers: state.workers.clone() }
}
