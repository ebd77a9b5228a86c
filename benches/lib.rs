//! Task workloads, each written once for every model with blocking calls and once for async tasks, so that the
//! peers run the same thing.
//!
//! [`peer::Peer`] names who runs a workload and on how many workers, [`model::Model`] is what a blocking peer offers, and
//! [`workloads::ALL`] is the list. The binary `compare` measures them in processes of their own; the criterion
//! benches use the same bodies in one process.

pub mod memory;
pub mod model;
pub mod peer;
pub mod sample;
pub mod workloads;
