//! The highest rate that a model keeps up with in an open loop.
//!
//! A share of the closed loop's peak is no measure of load where generator and model share the processors: an open loop
//! costs both of them more per request. So latencies are taken at shares of the rate found here.

use std::time::Duration;

use super::{Bench, why};
use crate::data::Sustained;
use crate::load::{self, Pace, Report};
use crate::models::Model;

/// How often the range is halved, on a logarithmic scale: the rate is known to 5 % then.
const HALVINGS: u32 = 6;

/// The same in a quick run, which shows that everything works: the rate is known to 20 %.
const QUICK_HALVINGS: u32 = 4;

/// The range, as shares of the closed loop's peak.
const RANGE: (f64, f64) = (1.0 / 16.0, 1.2);

/// Requests pile up where half of them wait longer than this. A median, since one hiccup of the machine makes a
/// hundredth of the requests of so short a load late, whatever the rate.
const PILED_UP: Duration = Duration::from_millis(5);

/// The share of the requests that must be answered in time.
const ANSWERED: f64 = 0.95;

/// A rate is too high when it fails so often: one failure may be the machine's.
const TRIES: u32 = 2;

impl Bench<'_, '_> {
    /// Searches for the rate by bisection.
    pub(super) fn sustained(&mut self, model: &'static Model, repetition: u32) {
        let Some(peak) = self.run.peak_of(model.name) else { return };
        let mut row = Sustained { model: model.name.to_owned(), repetition, ..Sustained::default() };
        match self.search(model, peak.median) {
            Ok(rate) => row.requests_per_second = rate,
            Err(note) => row.note = Some(note),
        }
        self.run.sustained.push(row);
    }

    fn search(&self, model: &Model, peak: f64) -> Result<f64, String> {
        let mut server = self.start_warm(model).map_err(|error| error.to_string())?;
        let (mut low, mut high) = (peak * RANGE.0, peak * RANGE.1);
        let mut found = None;
        for _ in 0..if self.settings.quick { QUICK_HALVINGS } else { HALVINGS } {
            let rate = (low * high).sqrt();
            let mut plan = self.plan(&server, model, Pace::Open { rate });
            plan.duration /= 2;
            let mut kept = false;
            for _ in 0..TRIES {
                let report = load::run(&plan).map_err(|error| why(&mut server, &error))?;
                if let Some(failure) = server.failure() {
                    return Err(failure);
                }
                kept = keeps_up(&report);
                if kept {
                    break;
                }
            }
            if kept {
                found = Some(rate);
                low = rate;
            } else {
                high = rate;
            }
        }
        found.ok_or_else(|| format!("falls behind at {low:.0} requests a second, a sixteenth of its peak"))
    }
}

/// Whether the answers came as fast as the requests.
fn keeps_up(report: &Report) -> bool {
    let answered = report.planned_rate.map_or(0.0, |rate| report.rate / rate);
    report.is_valid() && answered >= ANSWERED && report.latency.p50_ns < PILED_UP.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Distribution;

    #[test]
    fn a_model_keeps_up_whose_answers_come_in_time_and_as_often_as_asked() {
        let kept = Report {
            planned_rate: Some(1000.0),
            rate: 990.0,
            latency: Distribution { p50_ns: 4_000_000, p99_ns: 400_000_000, ..Distribution::default() },
            ..Report::default()
        };
        assert!(keeps_up(&kept), "a median, whatever the last hundredth");
        assert!(!keeps_up(&Report { rate: 900.0, ..kept.clone() }));
        let late = Distribution { p50_ns: 6_000_000, ..kept.latency.clone() };
        assert!(!keeps_up(&Report { latency: late, ..kept.clone() }));
        assert!(!keeps_up(&Report { invalid: vec!["the generator was late".to_owned()], ..kept }));
    }
}
