//! Metrics as text, in Prometheus' exposition format (version 0.0.4).

use std::fmt::Write;
use std::time::Duration;

use super::metrics::Metrics;
use super::samples::Kind;

const LATENCY: &str = "abaca_wakeup_latency_seconds";

impl Metrics {
    /// The metrics in Prometheus' exposition format, for the answer to a scrape (`Content-Type: text/plain; version=0.0.4`). All
    /// names begin with `abaca_`; times are in seconds.
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// let text = runtime.metrics().to_prometheus();
    /// assert!(text.contains("# TYPE abaca_fibers_spawned_total counter\nabaca_fibers_spawned_total 0\n"));
    /// ```
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let mut last = "";
        self.for_each(&mut |sample| {
            if std::mem::replace(&mut last, sample.name) != sample.name {
                let kind = if sample.kind == Kind::Counter { "counter" } else { "gauge" };
                begin(&mut text, sample.name, kind, sample.help);
            }
            let label = sample
                .label
                .as_ref()
                .map_or_else(String::new, |(key, value)| format!("{{{key}=\"{value}\"}}"));
            line(&mut text, format_args!("{}{label} {}", sample.name, sample.value));
        });
        self.write_latency(&mut text);
        text
    }

    fn write_latency(&self, text: &mut String) {
        begin(text, LATENCY, "histogram", "From a fiber's wake-up until it runs; one in 256 is measured.");
        let mut total = 0;
        for (bound, count) in self.latency.buckets() {
            total += count;
            let bound = bound.map_or_else(|| "+Inf".into(), seconds);
            line(text, format_args!("{LATENCY}_bucket{{le=\"{bound}\"}} {total}"));
        }
        line(text, format_args!("{LATENCY}_sum {}", seconds(self.latency.sum())));
        line(text, format_args!("{LATENCY}_count {total}"));
    }
}

/// Begins a metric: what it is, and of which kind.
fn begin(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes all text");
}

/// A time in seconds, exactly.
fn seconds(time: Duration) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        let texts = [0, 256, 1_000_000_000, 2_147_483_648].map(|ns| seconds(Duration::from_nanos(ns)));
        assert_eq!(texts, ["0", "0.000000256", "1", "2.147483648"]);
    }
}
