//! The task workloads. The body of each is itself a task of the model that runs it.

mod chained_spawn;
mod channel;
mod coroutine;
mod idle;
mod mutex;
mod ping_pong;
mod primitives;
mod skynet;
mod sleep;
mod spawn_batch;
mod spawn_join;
mod switch;
mod yields;

use std::future::Future;
use std::time::Duration;

use crate::model::{self, Abaca, Crates, May, Model, Threads};
use crate::peer::Peer;
use crate::sample::Sample;

pub use self::switch::Switch;

/// How much work one run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// To see that it works.
    pub quick: u64,
    /// Where calibration starts; it doubles this until a run takes [`LONG_ENOUGH`] ..
    pub start: u64,
    /// .. or this is reached. Equal to `start` where the amount is part of the workload.
    pub most: u64,
    /// The same as `start` and `most` for a thread per task; `None` where that is hopeless.
    pub threads: Option<(u64, u64)>,
}

/// A calibrated run takes at least this long, and is preceded by shorter ones that warm up.
pub const LONG_ENOUGH: Duration = Duration::from_millis(150);

/// A workload that needs tasks.
pub trait Workload: 'static {
    /// Its name, as in the report.
    const NAME: &'static str;
    /// How much of it to run.
    const SIZE: Size;
    /// Whether it is defined on one worker only.
    const ONE_WORKER: bool = false;
    /// The body on a model with blocking calls.
    fn blocking<M: Model>(amount: u64) -> Sample;
    /// The body on tokio.
    fn tokio(amount: u64) -> impl Future<Output = Sample> + Send + 'static;
}

/// A workload in the list.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, as in the report and on the command line.
    pub name: &'static str,
    /// How much of it to run.
    pub size: Size,
    one_worker: bool,
    has_form: fn(Peer) -> bool,
    run: fn(Peer, (u64, u64)) -> Option<Sample>,
}

/// Every workload, in the order of the report.
pub const ALL: &[Entry] = {
    let [
        read,
        write,
        shared,
        permit,
        permits,
        once,
        reply,
        rendezvous,
        unbounded,
        many,
        all,
        newest,
        ready,
        either,
    ] = primitives::ALL;
    &[
        Switch::<0>::ENTRY,
        Switch::<4>::ENTRY,
        Switch::<8>::ENTRY,
        coroutine::ENTRY,
        entry::<yields::Yield2>(),
        entry::<yields::YieldMany>(),
        entry::<spawn_join::SpawnJoin>(),
        entry::<spawn_batch::SpawnBatch<100_000>>(),
        entry::<spawn_batch::SpawnBatch<1_000_000>>(),
        entry::<ping_pong::PingPong>(),
        entry::<chained_spawn::ChainedSpawn>(),
        entry::<channel::PingPong>(),
        entry::<channel::OneToOne>(),
        entry::<channel::FourToFour>(),
        entry::<mutex::Uncontended>(),
        entry::<mutex::Contended>(),
        entry::<skynet::Skynet>(),
        entry::<sleep::Storm>(),
        entry::<sleep::Alone>(),
        entry::<idle::Parked>(),
        entry::<idle::ParkedLong>(),
        entry::<idle::Sleeping>(),
        read,
        write,
        shared,
        permit,
        permits,
        once,
        reply,
        rendezvous,
        unbounded,
        many,
        all,
        newest,
        ready,
        either,
    ]
};

const fn entry<W: Workload>() -> Entry {
    Entry { name: W::NAME, size: W::SIZE, one_worker: W::ONE_WORKER, has_form: has_form::<W>, run: run::<W> }
}

/// What threads with other crates do differently is their locks and channels.
fn has_form<W: Workload>(peer: Peer) -> bool {
    match peer {
        Peer::Corosensei => false,
        Peer::Crates => W::NAME.starts_with("mutex") || W::NAME.starts_with("chan_"),
        Peer::Java(_) => !["sleep", "idle", "parked"].iter().any(|name| W::NAME.starts_with(name)),
        _ => true,
    }
}

impl Entry {
    /// How much a peer is to do, from and to; `None` if the workload has no form there.
    #[must_use]
    pub fn range(&self, peer: Peer, quick: bool) -> Option<(u64, u64)> {
        match peer {
            _ if !(self.has_form)(peer) => None,
            Peer::Threads | Peer::Crates => self.size.threads.map(|range| if quick { (1, 1) } else { range }),
            _ if self.one_worker && peer.workers() == Some(2) => None,
            _ if quick => Some((self.size.quick, self.size.quick)),
            _ => Some((self.size.start, self.size.most)),
        }
    }

    /// Runs the workload on a peer in this process; `None` if it has no form there, or is not Rust.
    #[must_use]
    pub fn sample(&self, peer: Peer, quick: bool) -> Option<Sample> {
        (self.run)(peer, self.range(peer, quick)?)
    }
}

/// Repeats with twice as much until it took long enough.
macro_rules! calibrated {
    ($range:expr, $amount:ident => $run:expr) => {{
        let (mut $amount, most) = $range;
        loop {
            let sample: Sample = $run;
            if sample.seconds >= LONG_ENOUGH.as_secs_f64() || $amount >= most {
                break sample;
            }
            $amount = ($amount * 2).min(most);
        }
    }};
}
use calibrated;

fn run<W: Workload>(peer: Peer, range: (u64, u64)) -> Option<Sample> {
    let on_tokio =
        |workers| model::tokio::run(workers, async move { calibrated!(range, n => W::tokio(n).await) });
    match peer {
        Peer::Abaca(workers) => Some(on_model::<W, Abaca>(workers, range)),
        Peer::May(workers) => Some(on_model::<W, May>(workers, range)),
        Peer::Threads => Some(on_model::<W, Threads>(0, range)),
        Peer::Crates => Some(on_model::<W, Crates>(0, range)),
        Peer::TokioCt => Some(on_tokio(None)),
        Peer::Tokio(workers) => Some(on_tokio(Some(workers))),
        Peer::Go(_) | Peer::Java(_) | Peer::Corosensei => None,
    }
}

fn on_model<W: Workload, M: Model>(workers: usize, range: (u64, u64)) -> Sample {
    M::run(workers, move || calibrated!(range, n => W::blocking::<M>(n)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer;

    #[test]
    fn every_workload_runs_on_every_peer_that_has_a_form_of_it() {
        for entry in ALL {
            for &peer in peer::ALL {
                let sample = entry.sample(peer, true);
                let has_form =
                    entry.range(peer, true).is_some() && !matches!(peer, Peer::Go(_) | Peer::Java(_));
                assert_eq!(sample.is_some_and(|s| !s.figures.is_empty()), has_form, "{} {peer}", entry.name);
            }
        }
    }
}
