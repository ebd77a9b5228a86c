//! Workloads about one primitive each: `sync` and `channel` against what programs of threads and of async tasks take.

mod choice;
mod once;
mod permits;
mod shapes;
mod shared;
mod spread;

use std::future::Future;

use super::{Entry, LONG_ENOUGH, Sample, Size, calibrated};
use crate::model::{self, Abaca, Crates, May, Primitives};
use crate::peer::Peer;

/// A workload on the primitives of a model.
pub(super) trait Workload: 'static {
    /// Its name, as in the report.
    const NAME: &'static str;
    /// How much of it to run.
    const SIZE: Size;
    /// Whether it is one task's.
    const ONE_WORKER: bool = false;
    /// Whether a model has what it needs.
    fn is_possible<M: Primitives>() -> bool {
        true
    }
    /// The body on a model with blocking calls.
    fn blocking<M: Primitives>(amount: u64) -> Sample;
    /// The body on tokio.
    fn tokio(amount: u64) -> impl Future<Output = Sample> + Send + 'static;
}

/// Every workload, in the order of the report.
pub(super) const ALL: [Entry; 14] = [
    entry::<shared::Read>(),
    entry::<shared::Write>(),
    entry::<shared::Contended>(),
    entry::<permits::Uncontended>(),
    entry::<permits::Contended>(),
    entry::<once::Alone>(),
    entry::<once::Between>(),
    entry::<shapes::Rendezvous>(),
    entry::<shapes::Unbounded>(),
    entry::<shapes::ManyToOne>(),
    entry::<spread::Broadcast>(),
    entry::<spread::Watch>(),
    entry::<choice::Ready>(),
    entry::<choice::Waiting>(),
];

const fn entry<W: Workload>() -> Entry {
    Entry { name: W::NAME, size: W::SIZE, one_worker: W::ONE_WORKER, has_form: has_form::<W>, run: run::<W> }
}

fn has_form<W: Workload>(peer: Peer) -> bool {
    match peer {
        Peer::Abaca(_) => W::is_possible::<Abaca>(),
        Peer::May(_) => W::is_possible::<May>(),
        Peer::Crates => W::is_possible::<Crates>(),
        Peer::TokioCt | Peer::Tokio(_) => true,
        Peer::Go(_) | Peer::Java(_) | Peer::Threads | Peer::Corosensei => false,
    }
}

fn run<W: Workload>(peer: Peer, range: (u64, u64)) -> Option<Sample> {
    let on_tokio =
        |workers| model::tokio::run(workers, async move { calibrated!(range, n => W::tokio(n).await) });
    match peer {
        Peer::Abaca(workers) => Some(on_model::<W, Abaca>(workers, range)),
        Peer::May(workers) => Some(on_model::<W, May>(workers, range)),
        Peer::Crates => Some(on_model::<W, Crates>(0, range)),
        Peer::TokioCt => Some(on_tokio(None)),
        Peer::Tokio(workers) => Some(on_tokio(Some(workers))),
        Peer::Go(_) | Peer::Java(_) | Peer::Threads | Peer::Corosensei => None,
    }
}

fn on_model<W: Workload, M: Primitives>(workers: usize, range: (u64, u64)) -> Sample {
    M::run(workers, move || calibrated!(range, n => W::blocking::<M>(n)))
}
