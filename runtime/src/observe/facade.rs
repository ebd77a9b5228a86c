//! Metrics for the recorder that the program has installed with the crate `metrics`.

use metrics::{counter, gauge};

use super::metrics::Metrics;
use super::samples::Kind;

impl Metrics {
    /// Passes the metrics to the recorder that the program has installed with the crate
    /// [`metrics`](https://docs.rs/metrics), under the names of [`to_prometheus`](Self::to_prometheus). Call it now and then, say
    /// once a second in a fiber of its own. Needs the feature `metrics`.
    ///
    /// Of the histogram it passes on the quantiles 0.5, 0.9, 0.99 and 1, in seconds, as gauges `abaca_wakeup_latency_seconds` with the
    /// label `quantile`: the facade takes single times only, and these are counted ones.
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// runtime.metrics().publish(); // nobody listens: no recorder is installed
    /// ```
    pub fn publish(&self) {
        self.for_each(&mut |sample| {
            let labels: Vec<_> =
                sample.label.iter().map(|(key, value)| metrics::Label::new(*key, value.clone())).collect();
            match sample.kind {
                Kind::Counter => counter!(sample.name, labels).absolute(sample.value),
                Kind::Gauge => gauge!(sample.name, labels).set(sample.value as f64),
            }
        });
        for quantile in [0.5, 0.9, 0.99, 1.0] {
            if let Some(time) = self.latency.quantile(quantile) {
                gauge!("abaca_wakeup_latency_seconds", "quantile" => quantile.to_string())
                    .set(time.as_secs_f64());
            }
        }
    }
}
