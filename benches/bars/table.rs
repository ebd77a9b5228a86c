//! The medians as a table of Markdown, each beside that of plain fibers, and whether the bar is met.

use std::fmt::Write;

use abaca_benches::sample::Sample;

use super::variant::{OWN, Variant};
use super::{Bar, Measurement};

/// What one variant did in one measurement.
pub(crate) struct Cell {
    pub(crate) measurement: &'static Measurement,
    pub(crate) variant: Variant,
    /// One per round.
    pub(crate) samples: Vec<Sample>,
}

impl Cell {
    pub(crate) fn new(measurement: &'static Measurement, variant: Variant) -> Self {
        Self { measurement, variant, samples: Vec::new() }
    }

    /// The figures of all rounds under a name, in ascending order.
    fn figures(&self, name: &str) -> Vec<f64> {
        let mut figures: Vec<f64> =
            self.samples.iter().filter_map(|sample| sample.figures.get(name).copied()).collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    fn median(&self, name: &str) -> Option<f64> {
        let figures = self.figures(name);
        figures.get(figures.len() / 2).copied()
    }
}

/// The table.
pub(crate) fn text(cells: &[Cell], rounds: u16) -> String {
    let mut text = format!(
        "Medians of {rounds} rounds, variants alternating; one worker where it does not say two.\n\n"
    );
    text.push_str(
        "| group | measurement | variant | median | least to greatest | to fibers | bar of own storage |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|\n");
    for cell in cells {
        for (name, bar) in cell.measurement.figures {
            row(&mut text, cells, cell, name, *bar);
        }
    }
    text
}

fn row(text: &mut String, cells: &[Cell], cell: &Cell, name: &str, bar: Bar) {
    let Measurement { group, name: measurement, .. } = cell.measurement;
    let plain = cells
        .iter()
        .find(|other| other.variant == Variant::Plain && other.measurement.name == *measurement)
        .and_then(|other| other.median(name));
    let (figures, median) = (cell.figures(name), cell.median(name));
    let (Some(median), Some(least), Some(greatest)) = (median, figures.first(), figures.last()) else {
        return;
    };
    let ratio = plain.map_or("-".to_owned(), |plain| format!("{:.2}", median / plain));
    writeln!(
        text,
        "| {group} | {measurement}, {name} | {} | {median:.1} | {least:.1} to {greatest:.1} | {ratio} | {} |",
        cell.variant.name(),
        verdict(cell.variant, median, plain, bar)
    )
    .expect("a string takes everything");
}

/// The bar, and for the modes that are held to it whether they meet it.
fn verdict(variant: Variant, median: f64, plain: Option<f64>, bar: Bar) -> String {
    let (most, bar) = match bar {
        Bar::AtMost(most) => (Some(most), format!("at most {most}")),
        Bar::Any => (None, "-".to_owned()),
        Bar::AtMostMore(more) => (plain.map(|plain| plain + more), format!("at most {more} more")),
    };
    match most {
        Some(most) if OWN[1..].contains(&variant) => {
            format!("{bar}: {}", if median <= most { "met" } else { "**missed**" })
        }
        _ => bar,
    }
}
