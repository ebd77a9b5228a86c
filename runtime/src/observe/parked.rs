//! How many fibers wait, by what for: each worker counts its own in its hub, in steps of half a millisecond.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::collect;
use super::object::name_of;
use crate::cell::{Header, Reason};
use crate::park;
use crate::scheduler::Shared;
use crate::scheduler::inspect::{Inspection, Standing, Step};

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
    /// The workers that have not counted yet.
    left: usize,
    is_abandoned: bool,
}

/// One worker's part of the count.
#[derive(Debug)]
struct Part {
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
            self.tally.state().counts[fiber.wait().0 as usize] += 1;
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

/// The fibers of the runtime that wait, by the words for their reason; the most frequent one first. A worker that does not come to its
/// hub in time is left out. Nothing if the caller is a fiber, which must not block, or while somebody else looks at the fibers.
pub(super) fn parked(shared: &Shared) -> Vec<(&'static str, u64)> {
    if park::on_fiber() {
        return Vec::new();
    }
    let Ok(_one) = collect::ONE_AT_A_TIME.try_lock() else { return Vec::new() };
    let has_roaming = shared.roaming_count() > 0;
    let busy = |index: &usize| shared.workers[*index].live().len() > 0 || has_roaming;
    let workers: Vec<_> = (0..shared.workers.len()).filter(busy).collect();
    let state = State { counts: [0; REASONS], left: workers.len(), is_abandoned: false };
    let tally = Arc::new(Tally { state: Mutex::new(state), changed: Condvar::new() });
    for worker in workers {
        let part = Part { tally: Arc::clone(&tally), step: Mutex::new((None, 0)) };
        shared.request_inspection(worker, Arc::new(part));
    }
    let waited = tally.changed.wait_timeout_while(tally.state(), PATIENCE, |state| state.left > 0);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    state.is_abandoned = true;
    let reasons = state.counts.iter().enumerate().skip(1).filter(|(_, count)| **count > 0);
    let mut all: Vec<_> =
        reasons.map(|(reason, count)| (name_of(Reason::from_number(reason as u8)), *count)).collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}
