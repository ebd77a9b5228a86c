//! What is seen from outside of a running program: each fiber, what it waits for and who holds that.
//!
//! Nothing here is on the way of a fiber. What a hot path must leave behind, so that it can be seen, stands with who leaves it:
//! in the header of a fiber (`cell/`), in the workers (`scheduler/`), in the primitives. This room reads it.
//!
//! `README.md` beside this file tells how fibers are looked at while they run.

mod collect;
mod cycle;
mod deadlock;
mod dump;
mod frames;
mod json;
mod labels;
mod layout;
mod leak;
mod leaks;
mod object;
pub mod stack;
mod stuck;
mod symbols;
mod text;
mod write_json;

pub use cycle::Cycle;
pub use deadlock::{Deadlock, check};
pub use dump::{Dump, FiberDump, FiberState, Holder, Wait, dump};
pub use labels::{remove_label, set_label};
pub use leaks::{Growth, Leaks, leaks};
pub use symbols::Frame;
