//! Layer 3: what a fiber is. The cell with its state word, the waiter, join, local storage.
//!
//! The public face of this module mirrors [`std::thread`]; its blocking calls live in higher layers and are
//! re-exported here.

mod waiter;

/// The part of a fiber that does not depend on its closure.
#[derive(Debug)]
pub(crate) struct Header {}

pub(crate) use waiter::{Outcome, Reason, Waiter, Woken};
