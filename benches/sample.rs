//! What one run of a workload measured: named figures. It is also the line that a measuring child prints.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The figures of one run, by name; the name ends in the unit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// How long the measured part took, in seconds: what calibration looks at.
    pub seconds: f64,
    /// The figures.
    pub figures: BTreeMap<String, f64>,
}

impl Sample {
    /// The figure `ns`: nanoseconds per operation.
    #[must_use]
    pub fn per_operation(elapsed: Duration, operations: u64) -> Self {
        let sample = Self { seconds: elapsed.as_secs_f64(), figures: BTreeMap::new() };
        sample.with("ns", elapsed.as_secs_f64() * 1e9 / operations as f64)
    }

    /// The figure `ms`: the whole run in milliseconds.
    #[must_use]
    pub fn whole(elapsed: Duration) -> Self {
        let sample = Self { seconds: elapsed.as_secs_f64(), figures: BTreeMap::new() };
        sample.with("ms", elapsed.as_secs_f64() * 1e3)
    }

    /// The figures `late p50 us` and `late p99 us`, of latenesses in nanoseconds.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn lateness(elapsed: Duration, mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        let at = |share: f64| nanoseconds[((nanoseconds.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        let sample = Self { seconds: elapsed.as_secs_f64(), figures: BTreeMap::new() };
        sample.with("late p50 us", at(0.50)).with("late p99 us", at(0.99))
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, name: &str, figure: f64) -> Self {
        self.figures.insert(name.to_owned(), figure);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_sorted_latenesses() {
        let sample = Sample::lateness(Duration::from_secs(1), (0..=100).rev().map(|n| n * 1000).collect());
        assert_eq!(sample.figures["late p50 us"], 50.0);
        assert_eq!(sample.figures["late p99 us"], 99.0);
    }
}
