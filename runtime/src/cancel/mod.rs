//! Cancellation: to end a fiber from outside, at its next blocking call.

pub use crate::fiber::Cancelled;
