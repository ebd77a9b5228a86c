//! The lab: the same service in every concurrency model, measured side by side.

// A future under 64 nested calls is a type of that depth.
#![recursion_limit = "512"]

pub mod data;
pub mod micro;
pub mod report;
