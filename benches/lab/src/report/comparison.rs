//! Where the project's own runtime stands beside its rivals: ratios of figures that were taken in the same repetition.
//!
//! Models take turns within a repetition, so what slowed the machine down for a while slowed both sides of a ratio down.
//! A quotient of two medians has no such luck: they may come from different minutes.

use super::chart::{self, Axis, Bar};
use super::{Section, Table, again, sections};
use crate::data::{Run, Spread};

/// The model that is compared: the runtime with its default settings.
const OURS: &str = "abaca";

/// The share of the sustained rate at which latencies are compared.
pub(crate) const COMPARED_LOAD: f64 = 0.7;

/// What may be lost against the reference.
const TOLERANCE: f64 = 0.05;

/// A fiber has a page of its own, at least.
const PAGE_BYTES: f64 = 4096.0;

/// With whom the project compares itself, and how much of a lead it asks for.
const RIVALS: [(&str, f64); 5] =
    [(sections::REFERENCE, TOLERANCE), ("tokio", 0.0), ("may", 0.0), ("go", 0.0), ("java", 0.0)];

/// Whether the model is one of those that are compared, and so is worth more repetitions.
pub(crate) fn is_compared(model: &str) -> bool {
    model == OURS || RIVALS.iter().any(|(rival, _)| *rival == model)
}

/// The columns of the table that the sentence reads.
const RATIO: usize = 3;
const BAR: usize = 6;

/// What is compared.
#[derive(Clone, Copy)]
enum Figure {
    Throughput,
    Sustained,
    Latency,
    Cost,
}

impl Figure {
    const ALL: [Self; 4] = [Self::Throughput, Self::Sustained, Self::Latency, Self::Cost];

    fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Sustained => "sustained rate",
            Self::Latency => "p99 at 70 %",
            Self::Cost => "CPU per request",
        }
    }

    /// Whether it is asked of the project to be ahead here; the other figures are shown for what they are.
    fn has_bar(self) -> bool {
        matches!(self, Self::Throughput | Self::Latency | Self::Cost)
    }

    fn is_better(self, ratio: f64, tolerance: f64) -> bool {
        match self {
            Self::Throughput | Self::Sustained => ratio >= 1.0 - tolerance,
            Self::Latency | Self::Cost => ratio <= 1.0 + tolerance,
        }
    }

    /// The figure of a model in one repetition; `None` if it was not taken, or says nothing.
    fn of(self, run: &Run, model: &str, repetition: u32) -> Option<f64> {
        let peak = || {
            let mut rows = run.peaks.iter();
            rows.find(|row| row.model == model && row.repetition == repetition && row.note.is_none())
        };
        match self {
            Self::Throughput => Some(peak()?.requests_per_second),
            Self::Cost => peak()?.cpu_us_per_request,
            Self::Sustained => {
                let mut rows = run.sustained.iter();
                let row = rows
                    .find(|row| row.model == model && row.repetition == repetition && row.note.is_none())?;
                Some(row.requests_per_second)
            }
            Self::Latency => {
                let share = run.share_nearest(model, COMPARED_LOAD)?;
                let mut rows = run.latencies.iter().filter(|row| row.model == model && row.share == share);
                let row = rows.find(|row| row.repetition == repetition && row.valid)?;
                Some(row.p99_us)
            }
        }
    }

    /// Ours by the rival's, in each repetition that has both.
    fn ratios(self, run: &Run, rival: &str) -> Vec<f64> {
        let repetitions = run.peaks.iter().map(|row| row.repetition).max().unwrap_or(0);
        let ratio = |repetition| Some(self.of(run, OURS, repetition)? / self.of(run, rival, repetition)?);
        (1..=repetitions).filter_map(ratio).collect()
    }

    fn ratio(self, run: &Run, rival: &str) -> Option<Spread> {
        Spread::of(self.ratios(run, rival))
    }
}

/// The section; `None` of a run without the project's model or without a rival.
pub(super) fn section(run: &Run) -> Option<Section> {
    let rivals: Vec<_> =
        RIVALS.into_iter().filter(|(rival, _)| Figure::Throughput.ratio(run, rival).is_some()).collect();
    if rivals.is_empty() {
        return None;
    }
    let charts = Figure::ALL.into_iter().filter_map(|figure| {
        let bar = |(rival, _): &(&str, f64)| Bar {
            name: (*rival).to_owned(),
            figure: figure.ratio(run, rival),
            is_ours: false,
        };
        let label = format!("{}: {OURS} as a multiple of each", figure.name());
        let svg = chart::bars(
            &rivals.iter().map(bar).collect::<Vec<_>>(),
            Axis { label: &label, is_logarithmic: false },
        )?;
        Some((format!("{} of {OURS} by its rivals'", figure.name()), svg))
    });
    let mut rows: Vec<_> = rivals
        .iter()
        .flat_map(|(rival, tolerance)| Figure::ALL.map(|figure| row(run, rival, *tolerance, figure)))
        .collect();
    rows.extend(memory(run));
    rows.extend(calls(run));
    Some(Section {
        id: "comparison".into(),
        title: format!("Where does {OURS} stand?"),
        method: format!(
            "Ratios of {OURS}'s figures to its rivals' of the same repetition, taken one after the other; the \
             median of them, the least and the greatest. The project asks of itself to be within 5 % of {} in \
             throughput, in p99 at 70 % of the sustained rate, in processor time and in system calls per request, ahead of \
             the others in the first three, and to hold at most a page (4,096 bytes) more per idle connection than tokio. Figures without a bar are shown for what they are.",
            sections::REFERENCE
        ),
        command: again(run, &format!("--rates {:.0} --idle 1000 --no-micro", COMPARED_LOAD * 100.0)),
        charts: charts.collect(),
        tables: vec![Table {
            caption: format!("{OURS} by its rivals"),
            head: ["rival", "figure", "repetitions", "median ratio", "least", "greatest", "bar"]
                .map(str::to_owned)
                .into(),
            rows,
        }],
    })
}

fn row(run: &Run, rival: &str, tolerance: f64, figure: Figure) -> Vec<String> {
    let ratios = figure.ratios(run, rival);
    let count = ratios.len().to_string();
    let ratio = Spread::of(ratios);
    let text =
        |end: fn(Spread) -> f64| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.2}", end(ratio)));
    let verdict = match ratio {
        Some(ratio) if figure.has_bar() => met(figure.is_better(ratio.median, tolerance)),
        _ => String::new(),
    };
    vec![
        rival.to_owned(),
        figure.name().to_owned(),
        count,
        text(|ratio| ratio.median),
        text(|ratio| ratio.low),
        text(|ratio| ratio.high),
        verdict,
    ]
}

fn met(is_met: bool) -> String {
    if is_met { "met" } else { "MISSED" }.to_owned()
}

/// How many bytes more an idle connection holds than one of tokio's, at each number of connections.
fn memory(run: &Run) -> Vec<Vec<String>> {
    let mut counts: Vec<u64> = run.idles.iter().map(|row| row.connections).collect();
    counts.sort_unstable();
    counts.dedup();
    let rows = counts.into_iter().filter_map(|count| {
        let more = run.idle_of(OURS, count)?.median - run.idle_of("tokio", count)?.median;
        let figure = format!("bytes more per idle connection, of {count}");
        let none = || "-".to_owned();
        let verdict = met(more <= PAGE_BYTES);
        Some(vec!["tokio".to_owned(), figure, none(), chart::number(more), none(), none(), verdict])
    });
    rows.collect()
}

/// How many system calls a request takes beside the reference's, where they could be counted: once in a run.
fn calls(run: &Run) -> Option<Vec<String>> {
    let of = |model| run.peak_figures(model, |peak| peak.syscalls_per_request);
    let ratio = of(OURS)?.median / of(sections::REFERENCE)?.median;
    let none = || "-".to_owned();
    let (rival, figure) = (sections::REFERENCE.to_owned(), "system calls per request".to_owned());
    let verdict = met(ratio <= 1.0 + TOLERANCE);
    Some(vec![rival, figure, "1".to_owned(), format!("{ratio:.2}"), none(), none(), verdict])
}

/// The bars that are missed, in a sentence; `None` where nothing was compared.
pub(super) fn sentence(run: &Run) -> Option<String> {
    let section = section(run)?;
    let judged: Vec<_> = section.tables[0].rows.iter().filter(|row| !row[BAR].is_empty()).collect();
    let missed: Vec<String> = judged
        .iter()
        .filter(|row| row[BAR] != met(true))
        .map(|row| format!("{} against {} ({})", row[1], row[0], row[RATIO]))
        .collect();
    Some(if missed.is_empty() {
        format!("{OURS} meets all {} bars that the project has set for itself.", judged.len())
    } else {
        format!(
            "{OURS} misses {} of the {} bars that the project has set for itself: {}.",
            missed.len(),
            judged.len(),
            missed.join(", ")
        )
    })
}
