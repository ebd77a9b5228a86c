//! All metrics but the histogram as a list of named numbers, for those who pass them on.

use super::metrics::{Metrics, PollerMetrics, StackMetrics, WorkerMetrics};

/// Whether a metric only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// One number of a metric.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Which of several things the number is about.
    pub(super) label: Option<(&'static str, String)>,
    pub(super) value: u64,
}

/// A metric that each of several things has.
struct Each<T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    of: fn(&T) -> u64,
}

use Kind::{Counter, Gauge};

#[rustfmt::skip]
const WORKERS: &[Each<WorkerMetrics>] = &[
    Each { name: "abaca_worker_fibers", kind: Gauge, help: "Started fibers that live on the worker.", of: |it| it.fibers as u64 },
    Each { name: "abaca_worker_ready_fibers", kind: Gauge, help: "Started fibers that wait for their turn.", of: |it| it.ready as u64 },
    Each { name: "abaca_worker_pending_timers", kind: Gauge, help: "Waits that a timer will end.", of: |it| it.pending_timers as u64 },
    Each { name: "abaca_worker_inbox", kind: Gauge, help: "1 if wake-ups by other threads wait to be seen.", of: |it| it.has_arrivals.into() },
    Each { name: "abaca_worker_stealable_fibers", kind: Gauge, help: "Unstarted fibers that others may take.", of: |it| it.stealable as u64 },
    Each { name: "abaca_worker_sleeping", kind: Gauge, help: "1 if the worker sleeps.", of: |it| it.is_sleeping.into() },
    Each { name: "abaca_worker_spawned_total", kind: Counter, help: "Fibers spawned by the worker's fibers.", of: |it| it.spawned },
    Each { name: "abaca_worker_switches_total", kind: Counter, help: "Times that the worker began to run a fiber, or went on with one.", of: |it| it.switches },
    Each { name: "abaca_worker_woken_local_total", kind: Counter, help: "Wake-ups by the worker's own thread.", of: |it| it.woken_local },
    Each { name: "abaca_worker_woken_remote_total", kind: Counter, help: "Wake-ups by other threads.", of: |it| it.woken_remote },
    Each { name: "abaca_worker_steals_total", kind: Counter, help: "Times that the worker took another's fibers.", of: |it| it.steals },
    Each { name: "abaca_worker_stolen_total", kind: Counter, help: "Fibers that the worker took from others.", of: |it| it.stolen },
    Each { name: "abaca_worker_timers_total", kind: Counter, help: "Timers that expired.", of: |it| it.timers },
    Each { name: "abaca_worker_sleeps_total", kind: Counter, help: "Times that the worker slept.", of: |it| it.sleeps },
];

#[rustfmt::skip]
const POLLERS: &[Each<PollerMetrics>] = &[
    Each { name: "abaca_poller_rounds_total", kind: Counter, help: "Times that the kernel was asked for events.", of: |it| it.rounds },
    Each { name: "abaca_poller_events_total", kind: Counter, help: "Events that the kernel gave.", of: |it| it.events },
    Each { name: "abaca_poller_descriptors", kind: Gauge, help: "Descriptors that are watched.", of: |it| it.descriptors as u64 },
];

#[rustfmt::skip]
const STACKS: &[Each<StackMetrics>] = &[
    Each { name: "abaca_stacks_mapped", kind: Gauge, help: "Stacks with address space, by usable bytes.", of: |it| it.mapped as u64 },
    Each { name: "abaca_stacks_taken", kind: Gauge, help: "Stacks that fibers have, or workers keep at hand.", of: |it| it.taken as u64 },
    Each { name: "abaca_stacks_free", kind: Gauge, help: "Unused stacks with memory.", of: |it| it.free as u64 },
    Each { name: "abaca_stacks_bare", kind: Gauge, help: "Unused stacks whose memory was given back.", of: |it| it.bare as u64 },
];

impl Metrics {
    /// Calls `visit` with each number; those of one metric are neighbours.
    pub(super) fn for_each(&self, visit: &mut impl FnMut(&Sample)) {
        let pool = &self.blocking;
        #[rustfmt::skip]
        let alone = [
            ("abaca_fibers", Gauge, "Fibers that are alive, unstarted ones included.", self.live),
            ("abaca_fibers_spawned_total", Counter, "Fibers spawned.", self.spawned),
            ("abaca_fibers_ended_total", Counter, "Fibers that have ended.", self.ended),
            ("abaca_injected_fibers", Gauge, "Fibers in the runtime's queue, which no worker has taken yet.", self.injected as u64),
            ("abaca_free_cell_bytes", Gauge, "Memory of ended fibers' cells, kept for new ones.", self.free_cell_bytes as u64),
            ("abaca_blocking_threads", Gauge, "Threads of the blocking pool.", pool.threads as u64),
            ("abaca_blocking_threads_idle", Gauge, "Threads of the blocking pool without a job.", pool.idle as u64),
            ("abaca_blocking_threads_peak", Gauge, "The most threads of the blocking pool so far.", pool.peak as u64),
            ("abaca_blocking_jobs_queued", Gauge, "Jobs that no thread has taken.", pool.queued as u64),
            ("abaca_blocking_jobs_total", Counter, "Jobs that have ended.", pool.completed),
        ];
        for (name, kind, help, value) in alone {
            visit(&Sample { name, kind, help, label: None, value });
        }
        for (reason, value) in &self.parked {
            let label = Some(("reason", (*reason).to_owned()));
            let (name, help) = ("abaca_parked_fibers", "Started fibers that wait, by what for.");
            visit(&Sample { name, kind: Gauge, help, label, value: *value });
        }
        let by_index = |index: usize, _: &_| index.to_string();
        for_each_of(WORKERS, "worker", &self.workers, by_index, visit);
        let by_index = |index: usize, _: &_| index.to_string();
        for_each_of(POLLERS, "poller", &self.pollers, by_index, visit);
        for_each_of(STACKS, "bytes", &self.stacks, |_, stacks| stacks.bytes.to_string(), visit);
    }
}

fn for_each_of<T>(
    metrics: &[Each<T>],
    label: &'static str,
    all: &[T],
    name_of: impl Fn(usize, &T) -> String,
    visit: &mut impl FnMut(&Sample),
) {
    for Each { name, kind, help, of } in metrics {
        for (index, one) in all.iter().enumerate() {
            let label = Some((label, name_of(index, one)));
            visit(&Sample { name, kind: *kind, help, label, value: of(one) });
        }
    }
}
