//! What is measured of a model, and what it is held to.

use std::fmt;

use crate::load::Report;

/// What one model was under one load, in one round.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the load has seen; `None` where there was none but one request a connection.
    pub load: Option<Report>,
    /// CPU time of a request, in microseconds, where the model is bound to a CPU.
    pub cpu_us: Option<f64>,
    /// Memory of a connection that is idle, with its part of the page tables.
    pub bytes: Option<f64>,
}

/// A figure of an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A latency: 99 of 100 were no longer.
    P99,
    /// The same of 999 of 1,000.
    P999,
    /// Requests a second.
    Rate,
    /// CPU time of a request.
    Cpu,
    /// Memory of a connection.
    Bytes,
}

impl Figure {
    pub(super) fn of(self, outcome: &Outcome) -> Option<f64> {
        let load = outcome.load.as_ref();
        match self {
            Self::P99 => load.map(|load| load.latency.p99_ns as f64),
            Self::P999 => load.map(|load| load.latency.p999_ns as f64),
            Self::Rate => load.map(|load| load.rate),
            Self::Cpu => outcome.cpu_us,
            Self::Bytes => outcome.bytes,
        }
    }
}

/// A bound of a figure: as it is, or as a ratio to a rival's in the same round.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Of which figure.
    pub figure: Figure,
    bound: f64,
    is_least: bool,
    /// Whose, the best of these; nobody's for a figure as it is.
    pub rivals: &'static [&'static str],
}

impl Bar {
    /// At most so much, of the least of the rivals' if there are some.
    pub(super) const fn most(figure: Figure, bound: f64, rivals: &'static [&'static str]) -> Self {
        Self { figure, bound, is_least: false, rivals }
    }

    /// At least so much, of the greatest of the rivals' if there are some.
    pub(super) const fn least(figure: Figure, bound: f64, rivals: &'static [&'static str]) -> Self {
        Self { figure, bound, is_least: true, rivals }
    }

    /// What is compared with the bound in a round, of a model's figure and the rivals'. `None` if none of them has one.
    pub(super) fn compared(&self, own: f64, rivals: impl Iterator<Item = f64>) -> Option<f64> {
        if self.rivals.is_empty() {
            return Some(own);
        }
        let best = rivals.reduce(if self.is_least { f64::max } else { f64::min })?;
        Some(own / best)
    }

    /// Whether a median of these meets the bar.
    pub(super) fn is_met(&self, median: f64) -> bool {
        if self.is_least { median >= self.bound } else { median <= self.bound }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = match self.figure {
            Figure::P99 => "p99",
            Figure::P999 => "p99.9",
            Figure::Rate => "rate",
            Figure::Cpu => "CPU a request",
            Figure::Bytes => "bytes",
        };
        let side = if self.is_least { "least" } else { "most" };
        match self.rivals {
            [] => write!(f, "{figure} at {side} {}", self.bound),
            [rival] => write!(f, "{figure} at {side} {:.2} of {rival}'s", self.bound),
            several => {
                write!(f, "{figure} at {side} {:.2} of the best of {}", self.bound, several.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_compared_with_the_best_rival() {
        let cpu = Bar::most(Figure::Cpu, 0.95, &["one", "other"]);
        assert_eq!(cpu.compared(3.0, [4.0, 6.0].into_iter()), Some(0.75));
        assert!(cpu.is_met(0.95) && !cpu.is_met(0.96));
        assert_eq!(cpu.to_string(), "CPU a request at most 0.95 of the best of one, other");
        let rate = Bar::least(Figure::Rate, 1.0, &["one", "other"]);
        assert_eq!(rate.compared(3.0, [4.0, 6.0].into_iter()), Some(0.5));
        assert!(rate.is_met(1.0) && !rate.is_met(0.99));
        assert_eq!(rate.compared(3.0, [].into_iter()), None, "without a rival there is no ratio");
    }

    #[test]
    fn without_rivals_the_figure_itself_is_compared() {
        let bytes = Bar::most(Figure::Bytes, 4_700.0, &[]);
        assert_eq!(bytes.compared(5_000.0, [].into_iter()), Some(5_000.0));
        assert!(!bytes.is_met(5_000.0));
        assert_eq!(bytes.to_string(), "bytes at most 4700");
    }
}
