//! What is seen from outside of a running program: each fiber, what it waits for and who holds that.
//!
//! Nothing here is on the way of a fiber. What a hot path must leave behind, so that it can be seen, stands with who leaves it:
//! in the header of a fiber (`cell/`), in the workers (`scheduler/`), in the primitives. This room reads it.
//!
//! `README.md` beside this file tells how fibers are looked at while they run.

#[cfg(feature = "metrics")]
mod facade;
pub mod flight;
mod metrics;
mod prometheus;
mod samples;

pub use self::metrics::{LatencyHistogram, Metrics, PollerMetrics, StackMetrics, WorkerMetrics, metrics};
