//! What a run of the lab found: plain figures, one row per measurement, kept as JSON beside the report.
//!
//! Nothing here is rounded, averaged or left out. A measurement that failed is a row with a note.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// The version of this format; a reader refuses another.
pub const FORMAT: u32 = 1;

/// A run of the lab.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// [`FORMAT`].
    pub format: u32,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// The command that made it.
    pub command: String,
    /// Whether the numbers are small, so that the run takes about a minute.
    pub quick: bool,
    /// Whether it came to its end; else it was interrupted, and holds what was done by then.
    pub complete: bool,
    /// On what it ran.
    pub machine: Machine,
    /// Of what: crates, toolchains, kernels.
    pub versions: BTreeMap<String, String>,
    /// Who was measured, and who was absent.
    pub models: Vec<ModelRow>,
    /// Closed-loop throughput.
    pub peaks: Vec<Peak>,
    /// Open-loop throughput. A run that was made before it was measured has none; its shares are of the peak.
    #[serde(default)]
    pub sustained: Vec<Sustained>,
    /// Open-loop latency.
    pub latencies: Vec<Latency>,
    /// Idle connections.
    pub idles: Vec<Idle>,
    /// Slow clients, long requests, bursts.
    pub mixed: Vec<Mixed>,
    /// Micro costs.
    pub micros: Vec<Micro>,
}

/// The machine of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's own name.
    pub processor: String,
    /// How many threads run at a time.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Limits that matter, such as open files, with how they were raised.
    pub limits: BTreeMap<String, String>,
}

/// A model of the lab, or a command from outside.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelRow {
    /// Its name on the command line.
    pub name: String,
    /// Which models it is compared with in a chart.
    pub family: String,
    /// What it is, in a line.
    pub description: String,
    /// Why it was not measured, if it was not.
    pub absent: Option<String>,
}

/// Throughput under as much load as the model takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Peak {
    /// Whose.
    pub model: String,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// Answers.
    pub requests_per_second: f64,
    /// Processor time of the model's processes.
    pub cpu_us_per_request: Option<f64>,
    /// Voluntary and involuntary switches of its threads.
    pub switches_per_request: Option<f64>,
    /// System calls, where they could be counted.
    pub syscalls_per_request: Option<f64>,
    /// What went wrong.
    pub note: Option<String>,
}

/// The highest offered rate that the model keeps up with, beside the generator on the same machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sustained {
    /// Whose.
    pub model: String,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// The rate.
    pub requests_per_second: f64,
    /// What went wrong.
    pub note: Option<String>,
}

/// Latency at an offered rate, counted from when each request was due.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Whose.
    pub model: String,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// The offered rate as a share of the rate that the model sustains.
    pub share: f64,
    /// Requests per second that were due.
    pub offered: f64,
    /// Requests per second that were answered.
    pub achieved: f64,
    /// Half of the requests took at most so many microseconds.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1000.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// Processor time of the model's processes.
    pub cpu_us_per_request: Option<f64>,
    /// How late the generator itself sent, 99 of 100 requests.
    pub send_lag_p99_us: f64,
    /// Whether the generator kept the rate; else the row says nothing of the model.
    pub valid: bool,
    /// What went wrong.
    pub note: Option<String>,
}

/// Connections that are open and silent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Idle {
    /// Whose.
    pub model: String,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// How many were asked for.
    pub connections: u64,
    /// How many the model held.
    pub held: u64,
    /// Growth of resident memory and page tables of the model's processes, for each; without the kernel's buffers.
    pub bytes_per_connection: Option<f64>,
    /// Threads and processes of the model while it held them.
    pub threads: u64,
    /// What the active connections saw before there were idle ones: 99 of 100 requests.
    #[serde(default)]
    pub alone_p99_us: Option<f64>,
    /// What they saw beside the idle ones.
    pub active_p99_us: Option<f64>,
    /// What went wrong.
    pub note: Option<String>,
}

/// What the other clients see while some do what they should not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mixed {
    /// Whose.
    pub model: String,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// What some clients do.
    pub scenario: String,
    /// The latency of the others: half of the requests.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1000.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// How late the generator itself sent, 99 of 100 requests: it shares the machine with the trouble.
    pub send_lag_p99_us: f64,
    /// What went wrong.
    pub note: Option<String>,
}

/// One figure about one small thing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Micro {
    /// What was asked, as a heading.
    pub question: String,
    /// Who answers: `fiber`, `future`, ..
    pub side: String,
    /// Of what the figure is a function, such as `call depth`; empty if of nothing.
    pub parameter: String,
    /// Its value.
    pub at: f64,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

/// The median of some figures with the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub low: f64,
    /// The median; of an even number, the lower of the middle two.
    pub median: f64,
    /// The greatest.
    pub high: f64,
}

impl Spread {
    /// `None` of no figures.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
        figures.sort_by(f64::total_cmp);
        let (low, high) = (*figures.first()?, *figures.last()?);
        Some(Self { low, median: figures[(figures.len() - 1) / 2], high })
    }

    /// Whether two of them differ by more than their noise: neither range reaches the other's median.
    #[must_use]
    pub fn differs_from(self, other: Self) -> bool {
        self.low > other.high || self.high < other.low
    }
}

/// Why a file is not a run.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{path} is not a run of the lab: {error}")]
    Json {
        /// The file.
        path: String,
        /// Where it differs.
        error: serde_json::Error,
    },
    /// It is of another version of the lab.
    #[error("{path} has format {found}, this lab reads format {FORMAT}")]
    Format {
        /// The file.
        path: String,
        /// Its format.
        found: u32,
    },
}

/// What a file says, which may be compressed by gzip.
fn text_of(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text)?;
    Ok(text)
}

impl Run {
    /// Reads a run; it may be compressed by gzip.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn read(path: &std::path::Path) -> Result<Self, ReadError> {
        let name = || path.display().to_string();
        let text = text_of(path).map_err(|error| ReadError::File { path: name(), error })?;
        let run: Self =
            serde_json::from_slice(&text).map_err(|error| ReadError::Json { path: name(), error })?;
        if run.format != FORMAT {
            return Err(ReadError::Format { path: name(), found: run.format });
        }
        Ok(run)
    }

    /// The models that were measured, in the order of the list.
    pub fn present(&self) -> impl Iterator<Item = &ModelRow> {
        self.models.iter().filter(|model| model.absent.is_none())
    }

    /// The peak of a model over its repetitions.
    #[must_use]
    pub fn peak_of(&self, model: &str) -> Option<Spread> {
        self.peak_figures(model, |peak| Some(peak.requests_per_second))
    }

    /// A figure of a model at its peak.
    pub fn peak_figures(&self, model: &str, figure: impl Fn(&Peak) -> Option<f64>) -> Option<Spread> {
        let rows = self.peaks.iter().filter(|peak| peak.model == model && peak.note.is_none());
        Spread::of(rows.filter_map(figure))
    }

    /// The rate that a model sustains, over its repetitions.
    #[must_use]
    pub fn sustained_by(&self, model: &str) -> Option<Spread> {
        let rows = self.sustained.iter().filter(|row| row.model == model && row.note.is_none());
        Spread::of(rows.map(|row| row.requests_per_second))
    }

    /// The shares of its sustained rate at which a model was measured, in ascending order.
    #[must_use]
    pub fn shares_of(&self, model: &str) -> Vec<f64> {
        let mut shares: Vec<f64> =
            self.latencies.iter().filter(|row| row.model == model).map(|row| row.share).collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        shares
    }

    /// The share of its sustained rate nearest to `share` at which a model was measured.
    #[must_use]
    pub fn share_nearest(&self, model: &str, share: f64) -> Option<f64> {
        let distance = |to: &f64| (to - share).abs();
        self.shares_of(model).into_iter().min_by(|one, other| distance(one).total_cmp(&distance(other)))
    }

    /// A figure of a model's valid rows at a share of its sustained rate.
    pub fn latency_of(&self, model: &str, share: f64, figure: impl Fn(&Latency) -> f64) -> Option<Spread> {
        let rows = self.latencies.iter().filter(|row| row.model == model && row.share == share && row.valid);
        Spread::of(rows.map(figure))
    }

    /// Bytes for each of so many idle connections.
    #[must_use]
    pub fn idle_of(&self, model: &str, connections: u64) -> Option<Spread> {
        let rows = self.idles.iter().filter(|row| row.model == model && row.connections == connections);
        Spread::of(rows.filter_map(|row| row.bytes_per_connection))
    }

    /// A figure of a model in a scenario.
    pub fn mixed_of(&self, model: &str, scenario: &str, figure: impl Fn(&Mixed) -> f64) -> Option<Spread> {
        let rows = self.mixed.iter();
        Spread::of(
            rows.filter(|row| row.model == model && row.scenario == scenario && row.note.is_none())
                .map(figure),
        )
    }

    /// The micro questions, in the order in which they were asked.
    #[must_use]
    pub fn questions(&self) -> Vec<&str> {
        let mut questions = Vec::new();
        for micro in &self.micros {
            if !questions.contains(&micro.question.as_str()) {
                questions.push(&micro.question);
            }
        }
        questions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_lower_median_and_the_ends() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { low: 1.0, median: 2.0, high: 4.0 });
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn spreads_differ_when_they_do_not_overlap() {
        let [low, middle, high] =
            [[1.0, 2.0, 3.0], [2.5, 3.0, 4.0], [4.5, 5.0, 6.0]].map(|figures| Spread::of(figures).unwrap());
        assert!(!low.differs_from(middle));
        assert!(high.differs_from(middle) && low.differs_from(high));
    }

    #[test]
    fn a_run_survives_its_file_and_other_formats_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let mut run = Run { format: FORMAT, quick: true, ..Run::default() };
        run.peaks.push(Peak { model: "epoll".into(), requests_per_second: 12.5, ..Peak::default() });
        std::fs::write(&path, serde_json::to_vec(&run).unwrap()).unwrap();
        assert_eq!(Run::read(&path).unwrap().peak_of("epoll").unwrap().median, 12.5);
        run.format += 1;
        std::fs::write(&path, serde_json::to_vec(&run).unwrap()).unwrap();
        assert!(matches!(Run::read(&path), Err(ReadError::Format { .. })));
        std::fs::write(&path, "no json").unwrap();
        assert!(Run::read(&path).unwrap_err().to_string().contains("is not a run of the lab"));
    }
}
