//! The load generator: many connections from one thread, on abaca's own fibers.
//!
//! In an **open** loop requests are due at fixed times whatever the server does, and a latency counts from the time at
//! which its request was due: a server that stalls is charged for everybody who would have come meanwhile. In a
//! **closed** loop each connection sends when it has its answer, which finds the peak throughput.
//!
//! [`run`] is the whole interface: a [`Plan`] goes in, a [`Report`] comes out. The report says itself whether it can
//! be trusted: how late the generator was and how much CPU it took, and it is invalid if the generator could not
//! keep the rate.

mod connection;
mod engine;
mod plan;
mod report;
mod schedule;

pub use engine::run;
pub use plan::{Arrivals, Burns, Pace, ParseTargetError, Plan, Protocol, Target};
pub use report::{Distribution, Errors, Report};
