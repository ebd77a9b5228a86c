//! The metrics of a runtime: what its workers, pollers, stacks and pool have counted, read without stopping anybody.

use std::time::Duration;

use super::parked::{self, Queues, Standings};
use crate::park::{self, Cost};
use crate::pool;
use crate::scheduler::{self, BOUNDS, Histogram, Pollers, Shared, Worker};

/// What a runtime has done and has now; see [`Runtime::metrics`](crate::Runtime::metrics).
///
/// Each worker counts on a line of its own, with plain stores. So counts of the same moment may differ by
/// what happens in that moment. Counts of what has happened never go backwards.
///
/// [`to_prometheus`](Self::to_prometheus) writes all of it as text.
///
/// ```
/// let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
/// runtime.run(|| (0..10).map(|_| abaca::spawn(abaca::yield_now)).collect::<Vec<_>>().into_iter().for_each(|it| it.join().unwrap()));
/// let metrics = runtime.metrics();
/// assert_eq!((metrics.spawned, metrics.live), (11, 0));
/// assert!(metrics.workers[0].switches >= 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// The fibers that are alive, those that have not started included.
    pub live: u64,
    /// How many fibers were spawned so far.
    pub spawned: u64,
    /// How many fibers have ended, those that never started included.
    pub ended: u64,
    /// The started fibers that wait, by what for in the words of [`Wait::reason`](super::Wait::reason); the most frequent first.
    ///
    /// The workers count them between two fibers. A worker that is busy with one fiber for more than a tenth of a second is left
    /// out. Nothing is counted while a [`dump`](fn@super::dump) is under way, and if the caller is a fiber: it would have to
    /// wait, which [`parked`](super::parked()) does.
    pub parked: Vec<(&'static str, u64)>,
    /// The unstarted fibers that no worker has: spawned from outside. Roaming fibers that have yielded count as well.
    pub injected: usize,
    /// Of each worker.
    pub workers: Vec<WorkerMetrics>,
    /// Of each poller: one a worker, or one of its own thread ([`Poller::Thread`](crate::runtime::Poller::Thread)).
    pub pollers: Vec<PollerMetrics>,
    /// How long fibers wait from their wake-up until they run.
    pub latency: LatencyHistogram,
    /// The runtime's stacks, by size: those of the default size first. The stacks of ended fibers that a worker keeps at hand count
    /// as taken.
    pub stacks: Vec<StackMetrics>,
    /// The memory of ended fibers' cells that the runtime keeps for new ones, in bytes. Each worker keeps up to 128 cells of a size
    /// besides.
    pub free_cell_bytes: usize,
    /// The [`blocking`](crate::blocking) pool.
    pub blocking: pool::Metrics,
}

/// What one worker has done and has now; part of [`Metrics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// The started fibers that live on the worker. Roaming fibers live on none.
    pub fibers: usize,
    /// The started fibers that can go on and wait for their turn. As [`parked`](Metrics::parked), it is 0 where nothing was counted.
    pub ready: usize,
    /// The waits of its fibers that a timer will end, sleeps among them. Counted as `ready`.
    pub pending_timers: usize,
    /// Whether there are wake-ups by other threads, or fibers placed on it, that it has not seen yet.
    pub has_arrivals: bool,
    /// The unstarted fibers that other workers may take from it.
    pub stealable: usize,
    /// How many fibers were spawned by its fibers.
    pub spawned: u64,
    /// How often it began to run a fiber, or went on with one.
    pub switches: u64,
    /// How many wake-ups its fibers got from its own thread: from each other, from timers, and from the poller if it polls.
    pub woken_local: u64,
    /// How many wake-ups its fibers got from other threads.
    pub woken_remote: u64,
    /// How often it took fibers from another worker.
    pub steals: u64,
    /// How many fibers it took from other workers.
    pub stolen: u64,
    /// How many of its timers have expired.
    pub timers: u64,
    /// How often it slept for want of work.
    pub sleeps: u64,
    /// Whether it sleeps.
    pub is_sleeping: bool,
}

/// What one poller has done and has now; part of [`Metrics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollerMetrics {
    /// How often it asked the kernel for events.
    pub rounds: u64,
    /// How many events it got.
    pub events: u64,
    /// The descriptors that it watches.
    pub descriptors: usize,
}

/// The stacks of one size; part of [`Metrics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackMetrics {
    /// The usable bytes of each stack.
    pub bytes: usize,
    /// The stacks for which there is address space.
    pub mapped: usize,
    /// The stacks that fibers have, or workers keep at hand.
    pub taken: usize,
    /// The unused stacks that still have memory.
    pub free: usize,
    /// The unused stacks whose memory was given back to the kernel.
    pub bare: usize,
}

/// How long fibers wait from their wake-up until they run; part of [`Metrics`].
///
/// One wake-up in 256 of each worker is measured: of fibers that have started, and do not roam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyHistogram {
    buckets: [u64; BOUNDS + 1],
    sum_ns: u64,
}

impl LatencyHistogram {
    /// The number of wake-ups that were measured.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of their times.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// The buckets, by rising bounds: the longest time that falls into a bucket (`None`: the last bucket has no bound), and how many
    /// did. Bounds begin with 256 ns and double up to 2.1 s.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bound = |bucket| (bucket < BOUNDS).then(|| Duration::from_nanos(Histogram::bound_ns(bucket)));
        self.buckets.iter().enumerate().map(move |(bucket, count)| (bound(bucket), *count))
    }

    /// An upper bound of the time that the part `quantile` of the wake-ups did not exceed: 0.99 for all but one in a hundred. `None`
    /// if nothing was measured, or if it is beyond the last bound.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        let (bound, _) = self.buckets().find(|(_, count)| {
            seen += count;
            seen >= wanted.max(1)
        })?;
        bound
    }
}

impl Metrics {
    /// The metrics of this runtime.
    pub(crate) fn of(shared: &Shared) -> Self {
        let mut latency = LatencyHistogram { buckets: [0; BOUNDS + 1], sum_ns: 0 };
        for worker in &shared.workers {
            let (buckets, sum_ns) = worker.counters().latency.read();
            latency.buckets.iter_mut().zip(buckets).for_each(|(all, its)| *all += its);
            latency.sum_ns += sum_ns;
        }
        let Standings { parked, workers } = parked::standings(shared);
        let queues = workers.into_iter().chain(std::iter::repeat(Queues::default()));
        let (spawned, ended) = shared.spawned_and_ended();
        Self {
            live: spawned - ended,
            spawned,
            ended,
            parked,
            injected: shared.injector.len(),
            workers: shared.workers.iter().zip(queues).map(WorkerMetrics::of).collect(),
            pollers: pollers(shared),
            latency,
            stacks: shared.stacks.usage().into_iter().map(StackMetrics::from).collect(),
            free_cell_bytes: shared.cells.bytes(),
            blocking: shared.blocking.metrics(),
        }
    }
}

/// The metrics of the calling fiber's runtime. `None` on a plain thread. [`Runtime::metrics`](crate::Runtime::metrics) is for those who
/// have the runtime.
///
/// ```
/// # abaca::run(|| {
/// let metrics = abaca::observe::metrics().expect("this is a fiber");
/// assert_eq!(metrics.live, 1);
/// # });
/// assert!(abaca::observe::metrics().is_none());
/// ```
pub fn metrics() -> Option<Metrics> {
    scheduler::current_fiber()?;
    park::spend(Cost::Call);
    scheduler::current_worker().map(|worker| Metrics::of(worker.shared()))
}

fn pollers(shared: &Shared) -> Vec<PollerMetrics> {
    let pollers = match &shared.pollers {
        Pollers::Workers(pollers) => pollers,
        Pollers::Thread(poller) => std::slice::from_ref(poller),
    };
    let of = |(rounds, events), descriptors| PollerMetrics { rounds, events, descriptors };
    pollers.iter().map(|poller| of(poller.counts(), poller.registered())).collect()
}

impl WorkerMetrics {
    fn of((worker, queues): (&Worker, Queues)) -> Self {
        let counters = worker.counters();
        Self {
            fibers: worker.live().len(),
            ready: queues.ready,
            pending_timers: queues.timers,
            has_arrivals: worker.has_items(),
            stealable: worker.stealable(),
            spawned: counters.spawned.get(),
            switches: worker.picks(),
            woken_local: counters.woken_here.get(),
            woken_remote: counters.woken_elsewhere.get(),
            steals: counters.steals.get(),
            stolen: counters.stolen.get(),
            timers: counters.timers.get(),
            sleeps: counters.sleeps.get(),
            is_sleeping: worker.is_sleeping(),
        }
    }
}

impl From<(usize, abaca_asm::stack::Usage)> for StackMetrics {
    fn from((bytes, usage): (usize, abaca_asm::stack::Usage)) -> Self {
        Self { bytes, mapped: usage.mapped, taken: usage.taken, free: usage.free, bare: usage.bare }
    }
}
