//! The project's bars, as data: how a figure of abaca must compare with its rivals' in the same run.

use std::fmt;

use abaca_benches::peer::{self, Peer};

use super::measure::Results;

/// With whom abaca is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rivals {
    Corosensei,
    Tokio,
    Go,
    Java,
    TokioAndGo,
    All,
}

/// What the figure may be at most.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// This share of the best of the rivals on as many workers.
    Share(f64, Rivals),
    /// This multiple of its own on one worker.
    OfOneWorker(f64),
    /// In no round more than this multiple of the median: there is no slow mode.
    Steady(f64),
    /// This much.
    Absolute(f64),
}

/// A bar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) workload: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) workers: usize,
    pub(crate) limit: Limit,
}

use Limit::{Absolute, OfOneWorker, Share, Steady};
use Rivals::{All, Corosensei, Go, Java, Tokio, TokioAndGo};

const fn bar(workload: &'static str, figure: &'static str, workers: usize, limit: Limit) -> Bar {
    Bar { workload, figure, workers, limit }
}

/// Every bar on task workloads.
pub(crate) const ALL: &[Bar] = &[
    bar("switch depth 0", "ns", 1, Share(1.0, Corosensei)),
    bar("switch depth 4", "ns", 1, Share(1.0, Corosensei)),
    bar("switch depth 8", "ns", 1, Share(1.0, Corosensei)),
    bar("create_reuse", "ns", 1, Share(1.0, Corosensei)),
    bar("yield2", "ns", 1, Share(1.0 / 4.0, All)),
    bar("yield_many", "ns", 2, Share(1.0 / 3.0, All)),
    bar("spawn_join", "ns", 1, Share(1.0 / 2.0, Tokio)),
    bar("spawn_join", "ns", 2, Share(1.0 / 2.0, Tokio)),
    bar("spawn_batch 100k", "ns", 1, Share(1.0 / 3.0, All)),
    bar("spawn_batch 100k", "ns", 2, Share(1.0 / 3.0, All)),
    bar("spawn_batch 100k", "ns", 2, OfOneWorker(1.2)),
    bar("spawn_batch 1M", "ns", 1, Share(1.0 / 3.0, All)),
    bar("spawn_batch 1M", "ns", 2, Share(1.0 / 3.0, All)),
    bar("spawn_batch 1M", "ns", 2, OfOneWorker(1.2)),
    bar("ping_pong", "ns", 1, Share(1.0 / 2.0, Tokio)),
    bar("ping_pong", "ns", 2, Share(1.0 / 2.0, Tokio)),
    bar("ping_pong", "ns", 2, Steady(1.5)),
    bar("chained_spawn", "ns", 1, Share(1.0 / 2.0, Tokio)),
    bar("chained_spawn", "ns", 2, Share(1.0 / 2.0, Tokio)),
    bar("chan_pingpong", "ns", 1, Share(0.4, All)),
    bar("chan_pingpong", "ns", 2, Share(0.4, All)),
    bar("chan_1x1", "ns", 1, Share(0.4, All)),
    bar("chan_1x1", "ns", 2, Share(0.4, All)),
    bar("chan_4x4", "ns", 1, Share(0.4, All)),
    bar("chan_4x4", "ns", 2, Share(0.4, All)),
    bar("mutex uncontended", "ns", 1, Share(1.0, Go)),
    bar("mutex uncontended", "ns", 1, Share(1.0, All)),
    bar("mutex 100 tasks", "ns", 1, Share(1.0, All)),
    bar("mutex 100 tasks", "ns", 2, Share(1.0, Go)),
    bar("mutex 100 tasks", "ns", 2, Share(1.0, All)),
    bar("mutex 100 tasks", "ns", 2, Share(0.85, Java)),
    bar("skynet 1M", "ms", 1, Share(1.0 / 2.0, Go)),
    bar("skynet 1M", "ms", 2, Share(1.0 / 2.0, Go)),
    bar("skynet 1M", "peak MB", 1, Share(1.0, Tokio)),
    bar("skynet 1M", "peak MB", 2, Share(1.0, Tokio)),
    bar("sleeping 1M", "bytes", 1, Absolute(4_400.0)),
    bar("sleeping 1M", "bytes", 2, Absolute(4_400.0)),
    bar("sleep_storm 100k", "cpu ms", 2, Share(1.0, Tokio)),
    bar("sleep_storm 100k", "late p50 us", 2, Absolute(120.0)),
    bar("sleep_storm 100k", "late p99 us", 2, Absolute(1_000.0)),
    bar("sleep_storm 100k", "late p99 us", 2, Share(1.0, TokioAndGo)),
    bar("sleep 50us alone", "late p50 us", 1, Absolute(100.0)),
    bar("sleep 50us alone", "late p50 us", 2, Absolute(100.0)),
    bar("rwlock read", "ns", 1, Share(1.0, All)),
    bar("rwlock write", "ns", 1, Share(1.0, All)),
    bar("rwlock 100 tasks", "ns", 1, Share(1.0, All)),
    bar("rwlock 100 tasks", "ns", 2, Share(1.0, All)),
    bar("semaphore uncontended", "ns", 1, Share(1.0, All)),
    bar("semaphore 100 tasks", "ns", 1, Share(1.0, All)),
    bar("semaphore 100 tasks", "ns", 2, Share(1.0, All)),
    bar("oneshot ready", "ns", 1, Share(1.0, All)),
    bar("oneshot reply", "ns", 1, Share(1.0, All)),
    bar("oneshot reply", "ns", 2, Share(1.0, All)),
    bar("chan rendezvous", "ns", 1, Share(1.0, All)),
    bar("chan rendezvous", "ns", 2, Share(1.0, All)),
    bar("chan unbounded 1x1", "ns", 1, Share(1.0, All)),
    bar("chan unbounded 1x1", "ns", 2, Share(1.0, All)),
    bar("chan 4x1", "ns", 1, Share(1.0, All)),
    bar("chan 4x1", "ns", 2, Share(1.0, All)),
    bar("broadcast 1x4", "ns", 1, Share(1.0, All)),
    bar("broadcast 1x4", "ns", 2, Share(1.0, All)),
    bar("watch there and back", "ns", 1, Share(1.0, All)),
    bar("watch there and back", "ns", 2, Share(1.0, All)),
    bar("select ready", "ns", 1, Share(1.0, All)),
    bar("select 2 producers", "ns", 1, Share(1.0, All)),
    bar("select 2 producers", "ns", 2, Share(1.0, All)),
];

/// How a bar was met.
pub(crate) struct Verdict {
    pub(crate) ours: f64,
    /// The best rival with its figure; none for an absolute bar.
    pub(crate) rival: Option<(Peer, f64)>,
    pub(crate) met: bool,
}

impl Bar {
    /// The verdict; `None` if one side was not measured.
    pub(crate) fn verdict(&self, results: &Results) -> Option<Verdict> {
        let cell = results.cell(self.workload, Peer::Abaca(self.workers))?;
        let median = cell.median(self.figure)?;
        let ours = if let Steady(_) = self.limit { *cell.figures(self.figure).last()? } else { median };
        let (rival, most) = match self.limit {
            Absolute(most) => (None, most),
            Steady(multiple) => (None, multiple * median),
            OfOneWorker(multiple) => {
                let alone = results.cell(self.workload, Peer::Abaca(1))?.median(self.figure)?;
                (Some((Peer::Abaca(1), alone)), multiple * alone)
            }
            Share(share, rivals) => {
                let rival = self.best(rivals, results)?;
                (Some(rival), share * rival.1)
            }
        };
        Some(Verdict { ours, rival, met: ours <= most })
    }

    fn best(&self, rivals: Rivals, results: &Results) -> Option<(Peer, f64)> {
        let on_as_many = |peer: &Peer| peer.workers().is_none_or(|workers| workers == self.workers);
        let figures = peer::ALL
            .iter()
            .copied()
            .filter(|peer| rivals.include(*peer))
            .filter(on_as_many)
            .filter_map(|peer| Some((peer, results.cell(self.workload, peer)?.median(self.figure)?)));
        figures.min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

impl Rivals {
    fn include(self, peer: Peer) -> bool {
        match self {
            Corosensei => peer == Peer::Corosensei,
            Tokio => peer.is_tokio(),
            Go => matches!(peer, Peer::Go(_)),
            Java => matches!(peer, Peer::Java(_)),
            TokioAndGo => peer.is_tokio() || matches!(peer, Peer::Go(_)),
            All => !peer.is_abaca(),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absolute(most) => write!(f, "at most {most}"),
            Steady(multiple) => write!(f, "in no round above {multiple} of the median"),
            OfOneWorker(multiple) => write!(f, "at most {multiple} of one worker's"),
            Share(share, rivals) => {
                let rivals = match rivals {
                    Corosensei => "corosensei",
                    Tokio => "tokio",
                    Go => "Go",
                    Java => "Java",
                    TokioAndGo => "tokio and Go",
                    All => "the best peer",
                };
                write!(f, "at most {share:.2} of {rivals}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use abaca_benches::workloads;

    use super::*;

    #[test]
    fn every_bar_is_about_a_workload_that_exists() {
        for bar in ALL {
            let entry = workloads::ALL.iter().find(|entry| entry.name == bar.workload);
            let entry = entry.unwrap_or_else(|| panic!("{} is not a workload", bar.workload));
            let sample =
                entry.sample(Peer::Abaca(bar.workers), true).expect("abaca has a form of everything");
            assert!(sample.figures.contains_key(bar.figure), "{} has no {}", bar.workload, bar.figure);
        }
    }
}
