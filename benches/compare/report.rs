//! `RESULTS.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use abaca_benches::peer::{self, Peer};

use super::bars;
use super::machine;
use super::measure::{Cell, Results};

/// All of it; amounts too small to mean anything are not held against the bars.
pub(crate) fn text(results: &Results, rounds: u16, quick: bool) -> String {
    let mut text = String::from("# Tasks\n\n");
    let _ = writeln!(
        text,
        "Medians of {rounds} rounds, peers alternating, each measurement in a process of its own; ± is half the \
         distance between the least and the greatest of them. \"/1\", \"/2\": workers. \"FAIL\": the process died or took \
         longer than a minute. Command: `{}`.\n\n{}\n",
        machine::command(),
        machine::description()
    );
    text.push_str("may's channels are unbounded, so its senders never wait; tokio has no channel with many receivers, so ");
    text.push_str("its chan_4x4 is async-channel's and its rendezvous a channel of one place; crates is threads with parking_lot and crossbeam; Java runs warm for 1.5 s first.\n\n## Figures\n\n");
    figures(&mut text, results);
    if !quick {
        text.push_str("\n## Bars\n\n");
        verdicts(&mut text, results);
    }
    text
}

/// The figures of one workload while others are still to come, a line for each figure.
pub(crate) fn lines(cells: &[Cell]) -> String {
    let mut text = String::new();
    for figure in figures_of(cells.iter()) {
        let of_peers: Vec<String> =
            cells.iter().map(|cell| format!("{} {}", cell.peer, entry(cell, figure))).collect();
        let _ = writeln!(text, "{}, {figure}: {}", cells[0].workload, of_peers.join(", "));
    }
    text
}

/// The names of all figures that any of the cells has.
fn figures_of<'a>(cells: impl Iterator<Item = &'a Cell>) -> BTreeSet<&'a String> {
    cells.flat_map(|cell| &cell.samples).flat_map(|sample| sample.figures.keys()).collect()
}

fn figures(text: &mut String, results: &Results) {
    let peers: Vec<Peer> = peer::ALL
        .iter()
        .copied()
        .filter(|peer| results.cells.iter().any(|cell| cell.peer == *peer))
        .collect();
    let names: Vec<String> = peers.iter().map(Peer::to_string).collect();
    let _ = writeln!(text, "| workload | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(peers.len()));
    let mut workloads: Vec<&str> = results.cells.iter().map(|cell| cell.workload).collect();
    workloads.dedup();
    for workload in workloads {
        let cells = || results.cells.iter().filter(|cell| cell.workload == workload);
        for figure in figures_of(cells()) {
            let line: Vec<String> = peers
                .iter()
                .map(|peer| {
                    cells()
                        .find(|cell| cell.peer == *peer)
                        .map_or_else(|| "-".to_owned(), |cell| entry(cell, figure))
                })
                .collect();
            let _ = writeln!(text, "| {workload}, {figure} | {} |", line.join(" | "));
        }
    }
}

fn entry(cell: &Cell, figure: &str) -> String {
    let figures = cell.figures(figure);
    let (Some(median), Some(least), Some(most)) = (cell.median(figure), figures.first(), figures.last())
    else {
        return "FAIL".to_owned();
    };
    let spread = (most - least) / 2.0 / median * 100.0;
    if figures.len() == 1 { number(median) } else { format!("{} ±{spread:.0}%", number(median)) }
}

/// Three digits that count.
fn number(figure: f64) -> String {
    match figure {
        _ if figure < 10.0 => format!("{figure:.2}"),
        _ if figure < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

fn verdicts(text: &mut String, results: &Results) {
    text.push_str("| workload | workers | bar | abaca | rival | ratio | |\n|---|---|---|---|---|---|---|\n");
    for bar in bars::ALL {
        let Some(verdict) = bar.verdict(results) else { continue };
        let (rival, ratio) = verdict.rival.map_or_else(Default::default, |(peer, figure)| {
            (format!("{peer}: {}", number(figure)), format!("{:.2}", verdict.ours / figure))
        });
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | {} | {rival} | {ratio} | {} |",
            bar.workload,
            bar.figure,
            bar.workers,
            bar.limit,
            number(verdict.ours),
            if verdict.met { "met" } else { "**missed**" }
        );
    }
}
