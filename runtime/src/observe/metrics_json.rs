//! Metrics as JSON.

use super::json::Json;
use super::metrics::Metrics;

impl Metrics {
    /// The metrics as JSON, for programs: an object with the names of [`to_prometheus`](Self::to_prometheus). A metric that several
    /// things have is an object by their names: workers and pollers by number, stacks by size, parked fibers by reason. The histogram is
    /// `abaca_wakeup_latency_ns`: pairs of a bound in nanoseconds and a count, where the bound 0 is for what is beyond the last one.
    ///
    /// ```
    /// let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    /// let json = runtime.metrics().to_json();
    /// assert!(json.starts_with(r#"{"abaca_fibers":0,"#) && json.contains(r#""abaca_worker_sleeps_total":{"0":"#));
    /// ```
    pub fn to_json(&self) -> String {
        let mut rows: Vec<(&str, Option<String>, u64)> = Vec::new();
        self.for_each(&mut |sample| {
            let label = sample.label.as_ref().map(|(_, label)| label.clone());
            rows.push((sample.name, label, sample.value));
        });
        let mut json = Json::new();
        json.object(|json| {
            for metric in rows.chunk_by(|a, b| a.0 == b.0) {
                match metric {
                    [(name, None, value)] => json.number_at(name, *value),
                    [(name, ..), ..] => json.object_at(name, |json| {
                        for (_, label, value) in metric {
                            json.number_at(label.as_deref().unwrap_or_default(), *value);
                        }
                    }),
                    [] => {}
                }
            }
            json.array_at("abaca_wakeup_latency_ns", |json| {
                for (bound, count) in self.latency.buckets() {
                    json.array(|json| {
                        json.number(bound.map_or(0, |bound| bound.as_nanos() as u64));
                        json.number(count);
                    });
                }
            });
        });
        json.into_text()
    }
}
