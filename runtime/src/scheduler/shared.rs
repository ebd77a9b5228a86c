//! The state that the workers of one runtime share.

#![expect(unsafe_code, reason = "completes fibers that never start")]

use std::any::Any;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_deque::Injector;
use crossbeam_utils::CachePadded;

use super::hooks::Hooks;
use super::hub::WORTH_WAKING;
use super::monitor;
use super::monitor_parker::{MonitorParker, NEVER};
use super::outside::OutsideCounts;
use super::phase::{HOOKED, OnSettled};
use super::recording::Recorder;
use super::reporting::Reporting;
use super::roaming::RoamingList;
use super::stacks::StackSupply;
use super::worker::{Stealable, Worker, complete};
use crate::cell::{Depot, Header, contained};
use crate::os::clock;
use crate::os::epoch::Epoch;
use crate::os::fork::Generation;
use crate::poller::Poller;
use crate::pool::Pool;
use crate::queue::Sleepers;

/// The pollers of a runtime, and who waits in them.
pub(crate) enum Pollers {
    /// Each worker has a poller and sleeps in it.
    Workers(Box<[Arc<Poller>]>),
    /// One thread polls for all; workers sleep in their parkers.
    Thread(Arc<Poller>),
}

/// See the module's documentation.
pub(crate) struct Shared {
    pub(crate) workers: Box<[Worker]>,
    /// Fibers spawned from outside, and roaming fibers that have yielded; first in, first out.
    pub(crate) injector: Injector<Stealable>,
    pub(super) sleepers: Sleepers,
    pub(crate) stacks: StackSupply,
    /// Memory for cells.
    pub(crate) cells: Arc<Depot>,
    pub(super) roaming: CachePadded<RoamingList>,
    pub(crate) pollers: Pollers,
    pub(super) phase: AtomicU8,
    /// Of the process that has its threads.
    generation: Generation,
    /// How many workers have not ended: while one has not, a fiber may have to wait for a descriptor.
    pub(super) running: AtomicUsize,
    /// How many workers may still have fibers, other than threads, that the end of the runtime waits for.
    pub(super) unsettled: AtomicUsize,
    /// Set once, by who waits for the end.
    pub(crate) on_settled: OnceLock<OnSettled>,
    /// How many threads that are not workers hold a [`RuntimeGuard`]. What other threads write all the time has lines of its own, as
    /// every spawn reads what is beside it.
    guards: CachePadded<AtomicUsize>,
    pub(super) outside: CachePadded<OutsideCounts>,
    /// How many fibers are alive. Counted only if there is a limit.
    alive: CachePadded<AtomicUsize>,
    /// How many fibers may be alive at once; `usize::MAX` is no limit.
    pub(crate) max_fibers: usize,
    epoch: Epoch,
    pub(crate) blocking: Arc<Pool>,
    pub(super) monitor_parker: CachePadded<MonitorParker>,
    pub(super) hooks: Hooks,
    /// How often the monitor checks the workers while one is awake. `None` if it has nothing to check.
    pub(super) period: Option<Duration>,
    pub(super) reporting: Reporting,
    /// The flight recorder, if there is one.
    pub(crate) recorder: OnceLock<Recorder>,
    /// How long a fiber waits before its frames are kept elsewhere; set once if they are to be.
    pub(crate) compact_after: OnceLock<Duration>,
    /// Whether the monitor sleeps although a worker is awake.
    #[cfg(feature = "own-tls")]
    pub(super) quiet: super::handoff::Quiet,
    /// Called by the monitor in each quiet period, until the verdict is final; set once if anybody wants to know.
    pub(crate) on_quiet: OnceLock<super::quiet::OnQuiet>,
    /// The threads that take over workers; set once if fibers have storage of their own.
    #[cfg(feature = "own-tls")]
    pub(crate) spares: OnceLock<super::handoff::Spares>,
}

/// Keeps a runtime's shared state alive while a thread that is not one of its workers uses it.
pub(crate) struct RuntimeGuard<'a>(&'a Shared);

impl Drop for RuntimeGuard<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `await_guards`.
        self.0.guards.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(not(loom))]
impl Drop for Shared {
    fn drop(&mut self) {
        super::registry::remove(self);
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
        let epoch = Epoch::new();
        clock::start();
        let cells = Arc::new(Depot::new());
        let shared = Arc::new(Self {
            workers: (0..workers).map(|index| Worker::new(index, Arc::clone(&cells))).collect(),
            cells,
            injector: Injector::new(),
            sleepers: Sleepers::new(workers),
            stacks,
            roaming: CachePadded::new(RoamingList::new()),
            pollers,
            phase: AtomicU8::new(if hooks.are_there() { HOOKED } else { 0 }),
            generation: Generation::current(),
            running: AtomicUsize::new(workers),
            unsettled: AtomicUsize::new(workers),
            on_settled: OnceLock::new(),
            guards: CachePadded::default(),
            outside: CachePadded::default(),
            alive: CachePadded::default(),
            max_fibers,
            epoch,
            blocking,
            hooks,
            monitor_parker: CachePadded::new(MonitorParker::new(epoch.instant())?),
            period: monitor::period(workers, &reporting),
            reporting,
            recorder: OnceLock::new(),
            on_quiet: OnceLock::new(),
            compact_after: OnceLock::new(),
            #[cfg(feature = "own-tls")]
            quiet: super::handoff::Quiet::new(),
            #[cfg(feature = "own-tls")]
            spares: OnceLock::new(),
        });
        for worker in &shared.workers {
            // Models have no stacks.
            #[cfg(not(loom))]
            worker.refusals.set_reserve(shared.stacks.take()?);
            worker.set_shared(&shared);
        }
        #[cfg(not(loom))]
        super::registry::add(&shared);
        Ok(shared)
    }

    /// Whether the runtime's threads are those of the process that has forked this one.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.generation.is_current()
    }

    /// Shuts down the poller thread's poller and the blocking pool, after the threads have ended. Descriptors that are still open
    /// will register elsewhere. The workers' pollers are shut down already.
    pub(crate) fn retire(&self) {
        if let Pollers::Thread(poller) = &self.pollers {
            poller.shut_down(super::wake);
        }
        self.blocking.close();
    }

    /// The address by which an unstarted fiber knows its runtime.
    pub(crate) fn address(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Keeps the runtime alive for a thread that is not one of its workers and is about to deliver something.
    ///
    /// The caller must know that the runtime is alive now: it holds the runtime, or a fiber of it that cannot end before the
    /// delivery.
    pub(crate) fn guard(&self) -> RuntimeGuard<'_> {
        self.guards.fetch_add(1, Ordering::SeqCst);
        RuntimeGuard(self)
    }

    /// Waits until no thread holds a guard.
    pub(crate) fn await_guards(&self) {
        while self.guards.load(Ordering::SeqCst) != 0 {
            std::thread::yield_now();
        }
    }

    /// Nanoseconds since the runtime was created: the clock of its timers.
    pub(crate) fn now_ns(&self) -> u64 {
        self.epoch.now_ns()
    }

    /// `at` on the clock of the runtime's timers. Saturates after some 584 years.
    pub(crate) fn ns_at(&self, at: Instant) -> u64 {
        self.epoch.ns_at(at)
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

    /// All workers except `index`, starting with a random one.
    pub(super) fn others(&self, index: usize, random: usize) -> impl Iterator<Item = &Worker> {
        let count = self.workers.len();
        (0..count)
            .map(move |step| (random + step) % count)
            .filter(move |other| *other != index)
            .map(|other| &self.workers[other])
    }

    /// Whether some worker has more unstarted fibers than it should keep for itself.
    fn has_surplus(&self) -> bool {
        self.workers.iter().any(|worker| worker.stealable() >= WORTH_WAKING)
    }

    /// Whether there is work that a worker without work should take.
    pub(super) fn has_work_for_anyone(&self) -> bool {
        !self.injector.is_empty() || self.has_surplus()
    }

    /// When the monitor must next check a worker that is awake now.
    pub(super) fn next_check(&self) -> u64 {
        match self.check_period() {
            Some(period) => self.now_ns().saturating_add(u64::try_from(period.as_nanos()).unwrap_or(NEVER)),
            None => NEVER,
        }
    }

    /// Makes the monitor watch a worker that has just woken up.
    #[inline]
    pub(super) fn unpark_monitor(&self) {
        if self.check_period().is_some() {
            self.monitor_parker.unpark_by(|| self.next_check());
        }
    }

    /// Whether every worker sleeps.
    pub(super) fn all_asleep(&self) -> bool {
        self.workers.iter().all(|worker| worker.remote.inbox.is_sleeping())
    }

    /// Whether the fibers have storage of their own.
    #[inline]
    pub(crate) fn has_own_tls(&self) -> bool {
        #[cfg(feature = "own-tls")]
        return self.spares.get().is_some();
        #[cfg(not(feature = "own-tls"))]
        false
    }

    /// Whether a fiber runs whose worker has left its thread, and may sleep meanwhile.
    pub(super) fn has_absent_fiber(&self) -> bool {
        #[cfg(feature = "own-tls")]
        return self.spares.get().is_some_and(super::handoff::Spares::has_absent);
        #[cfg(not(feature = "own-tls"))]
        false
    }

    /// How many threads there are beyond one a worker, if there may be no more.
    pub(super) fn exhausted_spares(&self) -> Option<usize> {
        #[cfg(feature = "own-tls")]
        return self.spares.get()?.exhausted();
        #[cfg(not(feature = "own-tls"))]
        None
    }

    /// Ends the threads that wait for a worker, and the monitor.
    pub(super) fn close_spares(&self) {
        #[cfg(feature = "own-tls")]
        self.spares.get().into_iter().for_each(super::handoff::Spares::close);
        self.monitor_parker.unpark_by(|| self.now_ns());
    }

    /// The number of workers with started fibers, and the number of started fibers.
    pub(crate) fn still_alive(&self) -> (usize, usize) {
        let counts = self.workers.iter().map(|worker| worker.live.len());
        let busy = counts.clone().filter(|count| *count > 0).count();
        (busy, counts.sum::<usize>() + self.roaming.len())
    }

    /// Counts a new fiber. Returns false, and counts nothing, if the limit is reached.
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

    /// Counts a new fiber that the runtime makes for itself, to which the limit does not apply.
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

    /// Ends a fiber that will not start. Its join returns `payload`.
    pub(crate) fn abort_unstarted(&self, fiber: NonNull<Header>, payload: Box<dyn Any + Send>) {
        // SAFETY: the fiber came out of a queue, which made it ours, and it has not started.
        unsafe { Header::abort_unstarted(fiber, payload) };
        self.outside.count_never_started();
        self.dismiss();
        if complete(fiber) {
            // SAFETY: the cell is ours. If the payload's destructor panics, the panic hook reports it.
            contained(|| unsafe { Header::clear(fiber) });
            // SAFETY: as above.
            unsafe { Header::free(fiber, None) };
        }
    }

    /// The worker with the fewest placed fibers; see `Flags::DISTRIBUTED`.
    pub(super) fn least_loaded(&self) -> &Worker {
        let mut workers = self.workers.iter();
        let first = workers.next().expect("a runtime has a worker");
        let load = |worker: &Worker| worker.remote.placed.load(Ordering::Relaxed);
        workers.fold(first, |best, other| if load(other) < load(best) { other } else { best })
    }
}
