//! What the workers of one runtime share.

#![expect(unsafe_code, reason = "settles cells of tasks that never start")]

use std::any::Any;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_deque::Injector;

use super::bell::{Bell, NEVER};
use super::hooks::Hooks;
use super::hub::WORTH_WAKING;
use super::monitor;
use super::reporting::Reporting;
use super::roaming::RoamingList;
use super::stacks::StackSupply;
use super::worker::{Stealable, Worker, let_go};
use crate::cell::{Header, contained};
use crate::poller::Poller;
use crate::pool::Pool;
use crate::queue::{Pushed, Sleepers};

/// How far a runtime's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// No new fibers; the remaining ones are cancelled.
    Closing,
}

/// The bit of the phase that is set from `Phase::Closing` on.
const CLOSING: u8 = 1;

/// The bit beside it that is set if there are hooks: a starting fiber asks for both at once.
const HOOKED: u8 = 2;

/// Who polls.
pub(crate) enum Pollers {
    /// Each worker has a poller and sleeps in it.
    Workers(Box<[Arc<Poller>]>),
    /// One thread polls for all; workers sleep in their beds.
    Thread(Arc<Poller>),
}

/// See the module's documentation.
pub(crate) struct Shared {
    pub(crate) workers: Box<[Worker]>,
    /// Tasks from outside, and roaming fibers that yielded; first in, first out.
    pub(crate) injector: Injector<Stealable>,
    pub(super) sleepers: Sleepers,
    pub(crate) stacks: StackSupply,
    pub(super) roaming: RoamingList,
    pub(crate) pollers: Pollers,
    phase: AtomicU8,
    /// Workers that have not ended: while there is one, a descriptor may have to be waited for.
    running: AtomicUsize,
    /// Threads of others that are delivering something right now; see `enter`.
    visitors: AtomicUsize,
    /// Fibers alive, counted only when there is a limit.
    alive: AtomicUsize,
    /// How many fibers may be alive; `usize::MAX` is no limit.
    pub(crate) max_fibers: usize,
    epoch: Instant,
    pub(crate) blocking: Arc<Pool>,
    pub(super) bell: Bell,
    pub(super) hooks: Hooks,
    /// How often the monitor looks while a worker is up.
    pub(super) period: Option<Duration>,
    pub(super) reporting: Reporting,
}

/// Keeps a runtime's shared state alive while a thread that is not one of its workers uses it.
pub(crate) struct Visit<'a>(&'a Shared);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `await_visitors`.
        self.0.visitors.fetch_sub(1, Ordering::Release);
    }
}

impl Shared {
    pub(crate) fn new(
        workers: usize,
        stacks: StackSupply,
        pollers: Pollers,
        blocking: Arc<Pool>,
        max_fibers: usize,
        hooks: Hooks,
        reporting: Reporting,
    ) -> io::Result<Arc<Self>> {
        let epoch = Instant::now();
        let shared = Arc::new(Self {
            workers: (0..workers).map(Worker::new).collect(),
            injector: Injector::new(),
            sleepers: Sleepers::new(workers),
            stacks,
            roaming: RoamingList::new(),
            pollers,
            phase: AtomicU8::new(if hooks.are_there() { HOOKED } else { 0 }),
            running: AtomicUsize::new(workers),
            visitors: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            max_fibers,
            epoch,
            blocking,
            hooks,
            bell: Bell::new(epoch)?,
            period: monitor::period(workers, reporting.threshold),
            reporting,
        });
        for worker in &shared.workers {
            // Models have no stacks.
            #[cfg(not(loom))]
            worker.refusals.lay_by(shared.stacks.take()?);
            worker.shared.store(Arc::as_ptr(&shared).cast_mut(), Ordering::Relaxed);
        }
        Ok(shared)
    }

    pub(crate) fn phase(&self) -> Phase {
        // Acquire: pairs with the Release in `close`.
        if self.phase.load(Ordering::Acquire) & CLOSING == 0 { Phase::Running } else { Phase::Closing }
    }

    /// Whether there is nothing that a starting fiber has to be told.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        // Acquire: as in `phase`.
        self.phase.load(Ordering::Acquire) == 0
    }

    /// Ends the acceptance of fibers and wakes everybody to see it.
    pub(crate) fn close(&self) {
        // SeqCst: a spawner from outside either sees this or is seen by `await_visitors`.
        self.phase.fetch_or(CLOSING, Ordering::SeqCst);
        self.rouse_all();
        self.bell.call(|| self.now_ns());
    }

    /// The threads have ended: descriptors that are still open will register elsewhere. Workers' pollers know it already.
    pub(crate) fn retire(&self) {
        if let Pollers::Thread(poller) = &self.pollers {
            poller.shut_down(super::wake);
        }
        self.blocking.close();
    }

    /// What a task of this runtime knows it by.
    pub(crate) fn address(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Announces a thread that is not a worker of this runtime and is about to deliver something.
    ///
    /// The caller knows that the runtime lives: it holds it, or a fiber of it that cannot end before the
    /// delivery.
    pub(crate) fn enter(&self) -> Visit<'_> {
        self.visitors.fetch_add(1, Ordering::SeqCst);
        Visit(self)
    }

    /// Waits until no such thread is left.
    pub(crate) fn await_visitors(&self) {
        while self.visitors.load(Ordering::SeqCst) != 0 {
            std::thread::yield_now();
        }
    }

    /// Nanoseconds since the runtime was made: the clock of its timers.
    pub(crate) fn now_ns(&self) -> u64 {
        self.ns_at(Instant::now())
    }

    /// `at` on the clock of the runtime's timers; saturates after some 584 years.
    pub(crate) fn ns_at(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn poller_of(&self, worker: usize) -> Option<&Arc<Poller>> {
        match &self.pollers {
            Pollers::Workers(pollers) => Some(&pollers[worker]),
            Pollers::Thread(_) => None,
        }
    }

    /// The poller with which a fiber of `worker` registers its descriptors.
    pub(crate) fn poller_for(&self, worker: usize) -> &Arc<Poller> {
        match &self.pollers {
            Pollers::Workers(pollers) => &pollers[worker],
            Pollers::Thread(poller) => poller,
        }
    }

    /// All workers but `index`, from a random one on.
    pub(super) fn others(&self, index: usize, random: usize) -> impl Iterator<Item = &Worker> {
        let count = self.workers.len();
        (0..count)
            .map(move |step| &self.workers[(random + step) % count])
            .filter(move |other| other.index != index)
    }

    /// Whether some worker has more tasks than it should keep for itself.
    fn has_surplus(&self) -> bool {
        self.workers.iter().any(|worker| worker.stealable() >= WORTH_WAKING)
    }

    /// Whether there is work that a worker with none of its own should take.
    pub(super) fn has_work_for_anyone(&self) -> bool {
        !self.injector.is_empty() || self.has_surplus()
    }

    /// When the monitor is to look at a worker that is up now.
    pub(super) fn next_look(&self) -> u64 {
        match self.period {
            Some(period) => self.now_ns().saturating_add(u64::try_from(period.as_nanos()).unwrap_or(NEVER)),
            None => NEVER,
        }
    }

    /// A worker is up: somebody has to look after it.
    #[inline]
    pub(super) fn is_up(&self) {
        if self.period.is_some() {
            self.bell.call(|| self.next_look());
        }
    }

    /// Whether every worker sleeps.
    pub(super) fn all_asleep(&self) -> bool {
        self.workers.iter().all(|worker| worker.remote.inbox.is_sleeping())
    }

    /// A worker's thread runs no more fibers. The others may wait for the roaming fiber that has just ended there, and the
    /// poller for the last of them.
    pub(super) fn end_worker(&self, index: usize) {
        if let Pollers::Workers(pollers) = &self.pollers {
            // Fibers of other workers may wait for what is registered here.
            pollers[index].shut_down(super::wake);
        }
        // Release: pairs with the Acquire in `is_worked_on`.
        self.running.fetch_sub(1, Ordering::Release);
        self.rouse_all();
    }

    /// Whether a worker runs fibers, or will.
    pub(super) fn is_worked_on(&self) -> bool {
        // Acquire: pairs with the Release in `end_worker`.
        self.running.load(Ordering::Acquire) != 0
    }

    /// Workers that have not ended their threads, and started fibers that have not ended.
    pub(crate) fn still_alive(&self) -> (usize, usize) {
        let counts = self.workers.iter().map(|worker| worker.remote.fibers.load(Ordering::Relaxed));
        let busy = counts.clone().filter(|count| *count > 0).count();
        (busy, counts.sum::<usize>() + self.roaming.len())
    }

    /// Wakes one sleeping worker to search for tasks, unless somebody searches already.
    pub(super) fn wake_a_sleeper(&self) {
        if let Some(index) = self.sleepers.choose() {
            self.rouse(&self.workers[index]);
        }
    }

    /// Queues a task from outside, and wakes a worker for it.
    pub(crate) fn inject(&self, task: NonNull<Header>) {
        self.injector.push(Stealable(task));
        self.wake_a_sleeper();
    }

    /// Wakes every worker that sleeps, and the poller thread.
    pub(super) fn rouse_all(&self) {
        for worker in &self.workers {
            self.rouse(worker);
        }
        if let Pollers::Thread(poller) = &self.pollers {
            poller.poke();
        }
    }

    /// Wakes `worker` if it sleeps.
    pub(super) fn rouse(&self, worker: &Worker) {
        if worker.remote.inbox.poke() {
            self.poke(worker);
        }
    }

    /// Puts `fiber`, woken or new, into `worker`'s inbox. From any thread but the worker's own.
    pub(crate) fn deliver(&self, worker: &Worker, fiber: NonNull<Header>) {
        // SAFETY: the caller owns the wake-up (or the new task), so the fiber is alive and in no list.
        if unsafe { worker.remote.inbox.push(fiber) } == Pushed::OwnerSleeps {
            self.poke(worker);
        }
    }

    fn poke(&self, worker: &Worker) {
        match self.poller_of(worker.index) {
            Some(poller) => poller.poke(),
            None => worker.remote.bed.get_up(),
        }
    }

    /// Counts a new fiber against the limit; false when it is reached.
    pub(crate) fn admit(&self) -> bool {
        if self.max_fibers == usize::MAX {
            return true;
        }
        // Relaxed: a counter.
        let admitted = self.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |alive| {
            (alive < self.max_fibers).then_some(alive + 1)
        });
        admitted.is_ok()
    }

    /// Counts a new fiber of the runtime's own, to which the limit does not apply.
    pub(super) fn admit_own(&self) {
        if self.max_fibers != usize::MAX {
            self.alive.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Uncounts a fiber that has ended.
    #[inline]
    pub(crate) fn dismiss(&self) {
        if self.max_fibers != usize::MAX {
            self.alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends a task that will not start; its join returns `payload`.
    pub(crate) fn refuse(&self, task: NonNull<Header>, payload: Box<dyn Any + Send>) {
        // SAFETY: the task came out of a queue, which made it ours, and it has not started.
        unsafe { Header::refuse(task, payload) };
        self.dismiss();
        if let_go(task) {
            // SAFETY: the cell is ours; a panic of the payload's destructor is the panic hook's.
            contained(|| unsafe { Header::clear(task) });
            // SAFETY: as above.
            unsafe { Header::free(task) };
        }
    }

    /// The worker with the fewest placed fibers; see `Flags::SPREADS`.
    pub(super) fn least_loaded(&self) -> &Worker {
        let mut workers = self.workers.iter();
        let first = workers.next().expect("a runtime has a worker");
        let load = |worker: &Worker| worker.remote.placed.load(Ordering::Relaxed);
        workers.fold(first, |best, other| if load(other) < load(best) { other } else { best })
    }
}
