//! Collects the facts about all fibers: each worker shows its own in its hub, and those of a worker that does not come to its hub
//! are read from outside (`stuck.rs`).
//!
//! One collection at a time: a second caller waits. It runs on a plain thread, so it may block.

#![expect(unsafe_code, reason = "looks at suspended fibers in their worker's hub")]

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::frames::Walker;
use super::object::Object;
use super::stuck;
use crate::cell::{CoarseTime, FiberId, Flags, Header, Reason};
use crate::os::fork::PerProcess;
use crate::os::hidden::Hidden;
use crate::scheduler::inspect::{Inspection, Standing, Step};
use crate::scheduler::{Shared, registry};

/// How long a step in a worker's hub takes.
const STEP: Duration = Duration::from_millis(1);

/// How many fibers are looked at between two looks at the clock.
const BETWEEN_CLOCKS: usize = 16;

/// How long a worker may stay in one fiber before its fibers are read from outside.
const AWAY: Duration = Duration::from_millis(50);

/// How long it may be in no fiber: then it lacks a processor, or is in the program's hooks.
const BETWEEN: Duration = Duration::from_secs(1);

/// How long a worker is waited for that moves, and does not come to an end.
const LIMIT: Duration = Duration::from_secs(10);

/// What a fiber does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Running,
    Ready,
    Parked,
}

/// The facts about one fiber.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The address of its header, which is not followed any more.
    pub(super) header: usize,
    pub(super) id: Option<FiberId>,
    pub(super) name: Option<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) runtime: usize,
    pub(super) worker: usize,
    pub(super) activity: Activity,
    pub(super) reason: Reason,
    pub(super) since: CoarseTime,
    /// The address of its waiter: with `since` it tells one wait from another.
    pub(super) waiter: Hidden,
    pub(super) object: Object,
    /// Whether a deadline around the wait may end it.
    pub(super) has_deadline: bool,
    /// Whether a cancellation token around the wait may end it.
    pub(super) has_token: bool,
    /// Whether somebody has ended the wait, and the fiber has not gone on yet.
    pub(super) has_ended: bool,
    pub(super) spawn_site: Option<&'static Location<'static>>,
    /// The number by which libc knows a fiber with storage of its own.
    pub(super) thread_number: Option<u32>,
    /// The size of its cell, which begins with the header.
    pub(super) cell_bytes: usize,
    /// The lowest usable address of its stack, and its top.
    pub(super) stack: Option<(usize, usize)>,
    pub(super) stack_pointer: Option<Hidden>,
    /// An index into the stacks of the collection.
    pub(super) frames: usize,
}

/// The result of a collection.
#[derive(Debug, Default)]
pub(super) struct Collection {
    pub(super) fibers: Vec<Facts>,
    /// Each different stack, as code addresses, innermost first.
    pub(super) stacks: Vec<Vec<usize>>,
    pub(super) workers: Vec<usize>,
    /// The workers that could be read only from outside, or not at all: runtime, worker, whether they could.
    pub(super) away: Vec<(usize, usize, bool)>,
    /// Fibers that have not started, which no worker shows.
    pub(super) unstarted: usize,
}

/// One worker's part of a collection.
#[derive(Debug)]
struct Part {
    runtime: usize,
    worker: usize,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug)]
struct Progress {
    stage: Stage,
    found: Found,
    step_began: Instant,
    visits: usize,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) fibers: Vec<Facts>,
    pub(super) stacks: Stacks,
    pub(super) walker: Walker,
}

/// The different stacks, each with its index.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    known: HashMap<Box<[usize]>, usize>,
}

impl Stacks {
    pub(super) fn index(&mut self, frames: &[usize]) -> usize {
        if let Some(index) = self.known.get(frames) {
            return *index;
        }
        let index = self.known.len();
        self.known.insert(frames.into(), index);
        index
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Requested,
    UnderWay,
    Done,
    Abandoned,
}

impl Part {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inspection for Part {
    fn begin_step(&self) -> Step {
        let mut progress = self.progress();
        progress.step_began = Instant::now();
        match progress.stage {
            Stage::Requested => {
                progress.stage = Stage::UnderWay;
                Step::First
            }
            Stage::UnderWay => Step::Next,
            Stage::Done | Stage::Abandoned => Step::None,
        }
    }

    fn visit(&self, fiber: &Header, standing: Standing) {
        let mut progress = self.progress();
        if progress.stage == Stage::UnderWay {
            progress.visits += 1;
            let facts = look(fiber, standing, self.runtime, self.worker, &mut progress.found);
            progress.found.fibers.push(facts);
        }
    }

    fn must_pause(&self) -> bool {
        let progress = self.progress();
        progress.visits.is_multiple_of(BETWEEN_CLOCKS) && progress.step_began.elapsed() >= STEP
    }

    fn end(&self) {
        let mut progress = self.progress();
        if progress.stage == Stage::UnderWay {
            progress.stage = Stage::Done;
        }
        self.changed.notify_all();
    }
}

/// The facts about a fiber, in its worker's hub.
fn look(fiber: &Header, standing: Standing, runtime: usize, worker: usize, found: &mut Found) -> Facts {
    // Not attached to the fiber: a roaming one is shown under the lock that this would take.
    let handle = fiber.identity();
    let mut facts = Facts::of(std::ptr::from_ref(fiber).addr(), runtime, worker);
    facts.id = Some(handle.id());
    facts.name = handle.name().map(str::to_owned);
    facts.labels = handle.labels();
    facts.spawn_site = Some(fiber.spawn_site());
    facts.thread_number = thread_number(fiber.thread_pointer().addr());
    facts.cell_bytes = fiber.cell_bytes();
    if standing == Standing::Suspended {
        (facts.reason, facts.since) = fiber.wait();
        let is_parked = facts.reason != Reason::None;
        facts.activity = if is_parked { Activity::Parked } else { Activity::Ready };
        let waiter = fiber.waiting();
        facts.waiter = Hidden::new(waiter.addr());
        // SAFETY: the fiber is suspended, in the wait that it has noted.
        facts.object = unsafe { Object::of(facts.reason, waiter) };
        // SAFETY: as above; it is in a frame of the fiber.
        facts.has_ended = unsafe { waiter.as_ref() }.is_some_and(|waiter| !waiter.is_waiting());
        // A wait with a deadline of its own pins its fiber, and so may other things: then a cycle is missed.
        let around = fiber.cancel_scopes.state();
        facts.has_token = around.has_signals;
        facts.has_deadline = around.nearest.is_some() || fiber.has(Flags::PINNED) || fiber.has_noted_timer();
        facts.stack = fiber.stack_range().map(|(guard, top)| (guard.end, top));
        let context = fiber.context.get();
        facts.stack_pointer = context.saved().map(|(address, _)| Hidden::new(address.get()));
        found.walker.walk_suspended(context, facts.stack);
    } else {
        found.walker.clear();
    }
    facts.frames = found.stacks.index(found.walker.frames());
    facts
}

#[cfg(feature = "own-tls")]
pub(super) use crate::os::storage::thread_number;

/// Without storage of their own fibers have no numbers.
#[cfg(not(feature = "own-tls"))]
pub(super) fn thread_number(_thread_pointer: usize) -> Option<u32> {
    None
}

/// Held during a collection.
pub(super) static ONE_AT_A_TIME: PerProcess<()> = PerProcess::new(|| ());

/// Collects the facts. On a plain thread; on a worker's thread it would wait for itself, and read that worker from outside.
pub(super) fn collect() -> Collection {
    let _one = ONE_AT_A_TIME.lock();
    let runtimes = registry::all();
    let mut collection = Collection::default();
    collection.stacks.push(Vec::new());
    let mut parts = Vec::new();
    for (runtime, shared) in runtimes.iter().enumerate() {
        collection.workers.push(shared.workers.len());
        collection.unstarted += shared.unstarted_count();
        let has_roaming = shared.roaming_count() > 0;
        for (index, worker) in shared.workers.iter().enumerate() {
            // A worker without fibers is not woken.
            if worker.fiber_count() > 0 || has_roaming {
                let part = Arc::new(Part::new(runtime, index));
                shared.request_inspection(index, Arc::clone(&part) as Arc<dyn Inspection>);
                parts.push((Arc::clone(shared), part));
            }
        }
    }
    for (shared, part) in parts {
        part.finish(&shared, &mut collection);
    }
    collection
}

impl Part {
    fn new(runtime: usize, worker: usize) -> Self {
        let found = Found { fibers: Vec::new(), stacks: Stacks::default(), walker: Walker::new() };
        let progress = Progress { stage: Stage::Requested, found, step_began: Instant::now(), visits: 0 };
        Self { runtime, worker, progress: Mutex::new(progress), changed: Condvar::new() }
    }

    /// Waits for the worker, or reads its fibers from outside, and adds what was found.
    fn finish(&self, shared: &Shared, collection: &mut Collection) {
        let worker = &shared.workers[self.worker];
        let began = Instant::now();
        let mut position = worker.position();
        let mut still = Duration::ZERO;
        let mut progress = self.progress();
        while progress.stage != Stage::Done {
            let visits = progress.visits;
            let waited = self.changed.wait_timeout(progress, AWAY).unwrap_or_else(PoisonError::into_inner);
            progress = waited.0;
            if progress.stage == Stage::Done || !waited.1.timed_out() {
                continue;
            }
            let now = worker.position();
            still = if now == position && progress.visits == visits { still + AWAY } else { Duration::ZERO };
            position = now;
            let patience = if now.fiber().is_some() { AWAY } else { BETWEEN };
            if still >= patience || began.elapsed() >= LIMIT {
                // From here on the worker does not touch what was found.
                progress.stage = Stage::Abandoned;
                let (runtime, index) = (self.runtime, self.worker);
                let could = stuck::read(shared, runtime, index, &mut progress.found);
                collection.away.push((runtime, index, could));
                break;
            }
        }
        collection.add(&mut progress.found);
    }
}

impl Collection {
    /// Sorts the fibers by their runtimes and ids.
    pub(super) fn sort(&mut self) {
        self.fibers.sort_by_key(|facts| (facts.runtime, facts.id.map(FiberId::number)));
    }

    /// Adds one worker's part, whose stacks are numbered on their own.
    fn add(&mut self, found: &mut Found) {
        let mut map = vec![0; found.stacks.known.len()];
        for (frames, index) in found.stacks.known.drain() {
            if !frames.is_empty() {
                map[index] = self.stacks.len();
                self.stacks.push(frames.into_vec());
            }
        }
        self.fibers.extend(found.fibers.drain(..).map(|mut facts| {
            facts.frames = map[facts.frames];
            facts
        }));
    }
}
