//! Metrics for the crate `metrics`: the recorder that is installed gets the counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// What was set last, by name and labels.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, f64>>>);

/// One metric of it.
struct One(Seen, String);

impl One {
    fn put(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl CounterFn for One {
    fn increment(&self, _: u64) {
        unreachable!("counts are absolute");
    }

    fn absolute(&self, value: u64) {
        self.put(value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, _: f64) {
        unreachable!("gauges are set");
    }

    fn decrement(&self, _: f64) {
        unreachable!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.put(value);
    }
}

impl Seen {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: String =
            key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
        Arc::new(One(self.clone(), format!("{}{labels}", key.name())))
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        unreachable!("times are passed on as quantiles");
    }
}

#[test]
fn the_installed_recorder_gets_the_counts() {
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| (0..10).for_each(|_| abaca::spawn(abaca::yield_now).join().unwrap()));
    let seen = Seen::default();
    metrics::with_local_recorder(&seen, || runtime.metrics().publish());
    let seen = seen.0.lock().unwrap();
    assert_eq!((seen["abaca_fibers_spawned_total"], seen["abaca_fibers"]), (11.0, 0.0));
    assert!(seen.contains_key("abaca_worker_switches_total worker=1"), "{seen:?}");
    assert!(seen["abaca_wakeup_latency_seconds quantile=1"] > 0.0, "the first wake-up is measured");
}
