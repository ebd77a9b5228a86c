//! Time: sleeping, deadlines and intervals.

pub use crate::current::{sleep, sleep_until};
pub use std::time::{Duration, Instant};
