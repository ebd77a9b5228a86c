//! The report: one HTML file that needs nothing else, made from a [`Run`] and from nothing but it.
//!
//! `sections.rs` and `micro.rs` turn the figures into charts and tables, one section for each question; `comparison.rs` into
//! ratios of the project's own to its rivals'; `summary.rs` into sentences; `changes.rs` sets two runs side by side;
//! `page.rs` is the HTML around them and `chart.rs` draws.

mod changes;
mod chart;
mod comparison;
mod micro;
mod page;
mod sections;
mod summary;
#[cfg(test)]
mod tests;

use crate::data::Run;
pub(crate) use comparison::{COMPARED_LOAD, is_compared};

/// The whole file.
#[must_use]
pub fn html(run: &Run) -> String {
    page::html("The lab", run, &summary::sentences(run), &sections::all(run))
}

/// What changed from `before` to `after` by more than the noise, as a whole file.
#[must_use]
pub fn changes(before: &Run, after: &Run) -> String {
    let (sentences, sections) = changes::compare(before, after);
    page::html("The lab: two runs", after, &sentences, &sections)
}

/// A question with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// For links; no spaces.
    pub(crate) id: String,
    pub(crate) title: String,
    /// How it was measured and what to keep in mind.
    pub(crate) method: String,
    /// The command that measures this again; empty if it is no measurement.
    pub(crate) command: String,
    /// Each a heading and an SVG.
    pub(crate) charts: Vec<(String, String)>,
    pub(crate) tables: Vec<Table>,
}

/// The command of `run`, but with this choice of what is measured.
fn again(run: &Run, chosen: &str) -> String {
    let mut kept = Vec::new();
    let mut words = run.command.split_whitespace();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let is_chosen = match name {
            "--rates" | "--idle" | "--out" => true,
            "--models" => chosen.contains(name),
            _ => false,
        };
        if is_chosen && value.is_none() {
            words.next();
        }
        if !is_chosen && name != "--no-micro" {
            kept.push(word);
        }
    }
    if !kept.contains(&"--") {
        kept.push("--");
    }
    kept.push(chosen);
    kept.join(" ")
}

/// A table of text.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}
