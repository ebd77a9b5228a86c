//! The lab: the same service in every concurrency model, measured side by side.

pub mod data;
pub mod report;
