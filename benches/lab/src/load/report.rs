//! What a load has seen, and whether it can be trusted.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A distribution of durations, in nanoseconds, with three significant digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many durations.
    pub count: u64,
    /// The smallest.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: f64,
    /// Half were no longer.
    pub p50_ns: u64,
    /// 90 % were no longer.
    pub p90_ns: u64,
    /// 99 % were no longer.
    pub p99_ns: u64,
    /// 99.9 % were no longer.
    pub p999_ns: u64,
    /// The largest.
    pub max_ns: u64,
    /// The whole: the upper end of each bucket that is not empty, and how many durations are in it.
    pub buckets: Vec<(u64, u64)>,
}

impl Distribution {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let buckets = histogram.iter_recorded();
        Self {
            count: histogram.len(),
            min_ns: histogram.min(),
            mean_ns: histogram.mean(),
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
            buckets: buckets.map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
        }
    }
}

/// Histograms of up to an hour.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("valid bounds")
}

/// Requests that did not end with a good answer, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// There was no connection: refused, or not established in time.
    pub connect: u64,
    /// The connection ended or broke before the answer did.
    pub broken: u64,
    /// The answer was not 200, or not HTTP.
    pub status: u64,
    /// No answer had come when patience ended. Such a request counts in the latencies with the time that it had
    /// waited by then.
    pub unanswered: u64,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.connect + self.broken + self.status + self.unanswered
    }
}

/// What a load has seen. All counts are of the measured time, without the warm-up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where the requests went.
    pub url: String,
    /// Requests per second that the plan asked for; `None` in a closed loop.
    pub planned_rate: Option<f64>,
    /// Connections that the plan asked for.
    pub connections: usize,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Requests that were due (open loop) or sent (closed loop), the busy ones (see [`Burns`](super::Burns)) among them.
    pub due: u64,
    /// Requests with a good answer.
    pub answered: u64,
    /// Of those that were due: the busy ones.
    #[serde(default)]
    pub burns_due: u64,
    /// Of those with a good answer: the busy ones.
    #[serde(default)]
    pub burns_answered: u64,
    /// Good answers per second.
    pub rate: f64,
    /// The others.
    pub errors: Errors,
    /// From when a request was due (open loop) or sent (closed loop) to the last byte of its answer; without the busy
    /// ones.
    pub latency: Distribution,
    /// How late the generator's clock handed out requests: its timer, and its own work that was in the way. Empty in
    /// a closed loop.
    pub lag: Distribution,
    /// How late the generator's sleeps ended: the precision of its timer, on a thread with work. Empty in a closed loop,
    /// and for a generator that never found the time to sleep.
    pub timer: Distribution,
    /// CPU seconds that the generator's thread took.
    pub cpu_seconds: f64,
    /// Why this report says nothing about the server; empty for a valid one.
    pub invalid: Vec<String>,
}

/// Lags below this are what a timer on a busy machine does.
const TOLERATED_LAG: Duration = Duration::from_millis(1);

/// The share of the CPU above which the generator itself is the bottleneck.
const SATURATED: f64 = 0.95;

/// The share of the planned rate that counts as kept.
const KEPT: f64 = 0.98;

impl Report {
    /// Whether the generator did what the plan asked for, so that the figures are the server's.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    /// Finds what is wrong with the generator's side of a measurement.
    pub(super) fn judge(&mut self, handed_out: u64) {
        let Some(rate) = self.planned_rate else { return };
        if handed_out < self.due {
            self.invalid.push(format!(
                "{} of {} requests were never handed out",
                self.due - handed_out,
                self.due
            ));
        }
        let cpu = self.cpu_seconds / self.seconds;
        // One that is busy all the time and still keeps the rate is no bottleneck yet.
        if cpu > SATURATED && self.rate < KEPT * rate {
            self.invalid.push(format!("the generator took {:.0} % of a CPU for {rate:.0}/s", cpu * 100.0));
        }
        if self.lag.p99_ns > (TOLERATED_LAG.as_nanos() as u64).max(self.latency.p99_ns / 2) {
            let us = |ns: u64| ns / 1000;
            self.invalid.push(format!(
                "the generator was late (p99 {} us) by more than half of the latency (p99 {} us)",
                us(self.lag.p99_ns),
                us(self.latency.p99_ns)
            ));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned =
            self.planned_rate.map_or("closed loop".to_owned(), |rate| format!("{rate:.0}/s planned"));
        writeln!(f, "{}: {planned}, {} connections, {:.2} s", self.url, self.connections, self.seconds)?;
        writeln!(f, "  answered  {} of {} ({:.0}/s)", self.answered, self.due, self.rate)?;
        if self.burns_due > 0 {
            writeln!(f, "  burns     {} of {}, not in the latency", self.burns_answered, self.burns_due)?;
        }
        let Errors { connect, broken, status, unanswered } = self.errors;
        writeln!(
            f,
            "  errors    connect {connect}, broken {broken}, status {status}, unanswered {unanswered}"
        )?;
        let us = |ns: u64| ns as f64 / 1e3;
        for (name, of) in [("latency", &self.latency), ("send lag", &self.lag), ("timer", &self.timer)] {
            if of.count > 0 {
                writeln!(
                    f,
                    "  {name:<9} p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
                    us(of.p50_ns),
                    us(of.p90_ns),
                    us(of.p99_ns),
                    us(of.p999_ns),
                    us(of.max_ns)
                )?;
            }
        }
        write!(f, "  generator {:.0} % of a CPU", self.cpu_seconds / self.seconds * 100.0)?;
        for reason in &self.invalid {
            write!(f, "\n  INVALID: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lag_us: u64, latency_us: u64, cpu_seconds: f64) -> Report {
        let of = |us: u64| {
            let mut histogram = histogram();
            histogram.record_n(us * 1000, 100).expect("in bounds");
            Distribution::of(&histogram)
        };
        Report {
            url: String::new(),
            planned_rate: Some(100.0),
            connections: 1,
            seconds: 1.0,
            due: 100,
            answered: 100,
            burns_due: 0,
            burns_answered: 0,
            rate: 100.0,
            errors: Errors::default(),
            latency: of(latency_us),
            lag: of(lag_us),
            timer: of(lag_us),
            cpu_seconds,
            invalid: Vec::new(),
        }
    }

    #[test]
    fn a_generator_that_cannot_keep_up_makes_its_report_invalid() {
        let judged = |mut report: Report, handed_out| {
            report.judge(handed_out);
            report.is_valid()
        };
        assert!(judged(report(50, 200, 0.2), 100));
        assert!(judged(report(900, 1000, 0.2), 100), "below what is tolerated");
        assert!(judged(report(5_000, 50_000, 0.2), 100), "far below the latency");
        assert!(!judged(report(5_000, 6_000, 0.2), 100), "most of the latency");
        assert!(judged(report(50, 200, 0.99), 100), "busy, and as fast as it should be");
        let short = |cpu_seconds| Report { rate: 90.0, ..report(50, 200, cpu_seconds) };
        assert!(!judged(short(0.99), 100), "no CPU left");
        assert!(judged(short(0.2), 100), "the server is slow, not the generator");
        assert!(!judged(report(50, 200, 0.2), 99), "never handed out");
        assert!(
            judged(Report { planned_rate: None, ..report(50, 200, 1.0) }, 0),
            "a closed loop keeps no rate"
        );
    }

    #[test]
    fn a_report_survives_json() {
        let report = report(1, 2, 0.5);
        let text = serde_json::to_string(&report).expect("plain data");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("its own output"), report);
        assert!(report.to_string().contains("answered  100 of 100 (100/s)"));
    }
}
