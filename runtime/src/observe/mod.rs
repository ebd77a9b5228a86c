//! What is seen from outside of a running program: each fiber, what it waits for and who holds that ([`dump`](fn@dump)); what the runtime
//! has counted ([`metrics`](fn@metrics)); and what happened before ([`flight`]).
//!
//! Nothing here is on the way of a fiber. What a hot path must leave behind, so that it can be seen, stands with who leaves it:
//! in the header of a fiber (`cell/`), in the workers (`scheduler/`), in the primitives. This room reads it.
//!
//! `README.md` beside this file tells how fibers are looked at while they run.

mod collect;
mod cycle;
mod deadlock;
mod dump;
mod ends;
mod extents;
#[cfg(feature = "metrics")]
mod facade;
pub mod flight;
mod frames;
mod json;
mod labels;
mod layout;
mod leak;
mod leaks;
mod metrics;
mod metrics_json;
mod object;
mod owners;
mod parked;
mod prometheus;
mod samples;
mod search;
mod server;
pub mod stack;
mod stacks;
mod stuck;
mod symbols;
mod text;
mod write_json;

pub use self::parked::parked;
pub use cycle::Cycle;
pub use deadlock::{Deadlock, check};
pub use dump::{Dump, FiberDump, FiberState, Holder, Wait, dump};
pub use labels::{remove_label, set_label};
pub use leaks::{Growth, Leaks, leaks, leaks_within};
pub(crate) use server::Server;
pub use stacks::{StackUse, stacks};
pub use symbols::Frame;

pub use self::metrics::{LatencyHistogram, Metrics, PollerMetrics, StackMetrics, WorkerMetrics, metrics};
