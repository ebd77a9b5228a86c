//! Figures that documents take from `benches/RESULTS.md` are those of the run that it is of: whoever measures anew writes them anew.

use super::{assert_none, read};

/// The workload of a row, by what a document calls it.
const ROWS: &[(&str, &str)] = &[
    ("yield to a neighbour", "yield2, ns"),
    ("spawn and join", "spawn_join, ns"),
    ("spawn a million, then join all, each", "spawn_batch 1M, ns"),
    ("there and back through two channels", "chan_pingpong, ns"),
    ("a message through a channel of 128", "chan_1x1, ns"),
    ("lock and unlock, uncontended", "mutex uncontended, ns"),
    ("tree of a million fibers (skynet), ms", "skynet 1M, ms"),
    ("its peak memory, MB", "skynet 1M, peak MB"),
    ("a parked fiber or task, bytes", "idle 20k, bytes"),
    ("how late a sleep of 50 us ends, us", "sleep 50us alone, late p50 us"),
];

/// Of rows that are about one peer: what a document calls it, and the peer.
const PARKED: &[(&str, &str)] = &[
    ("a parked fiber with a shallow stack", "abaca/1"),
    ("for comparison: a parked tokio task", "tokio/1"),
    ("a parked goroutine", "go/1"),
    ("a parked OS thread", "threads"),
];

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The figure of a workload for a peer. None if it was not measured, or failed.
fn measured(results: &str, workload: &str, peer: &str) -> Option<f64> {
    let table = results.split("## Figures").nth(1).expect("the table of figures");
    let mut rows = table.lines().filter(|line| line.starts_with('|')).map(cells);
    let column = rows.next()?.iter().position(|name| *name == peer).expect("a column of the peer");
    let row = rows.find(|row| row[0] == workload).unwrap_or_else(|| panic!("a row of {workload}"));
    row[column].split(' ').next()?.parse().ok()
}

/// Whether a document may say `told` of a figure: it has as many digits as one likes, and these are right.
fn is_rounded(told: &str, figure: f64) -> bool {
    let digits = told.replace(',', "");
    let unit = match digits.split_once('.') {
        Some((_, decimals)) => 0.1_f64.powi(decimals.len() as i32),
        None => 10_f64.powi((digits.len() - digits.trim_end_matches('0').len()) as i32),
    };
    let value: f64 = digits.parse().expect("a figure");
    (value - figure).abs() <= unit * 0.501
}

#[test]
fn figures_may_be_rounded_and_must_be_right() {
    for (told, figure) in [("128", 128.0), ("1,081", 1081.0), ("6.1", 6.11), ("5,000", 4997.0), ("40", 39.7)]
    {
        assert!(is_rounded(told, figure), "{told} of {figure}");
    }
    for (told, figure) in [("99", 128.0), ("4,900", 4997.0), ("5", 6.11), ("6.2", 6.11)] {
        assert!(!is_rounded(told, figure), "{told} of {figure}");
    }
}

#[test]
fn the_figures_in_documents_are_those_of_the_results() {
    let results = read("benches/RESULTS.md");
    let mut wrong = Vec::new();
    let mut compared = 0;
    let mut compare = |document: &str, name: &str, told: &str, workload: &str, peer: &str| {
        compared += 1;
        let figure = measured(&results, workload, peer);
        let is_right = match figure {
            Some(figure) => told.starts_with(|c: char| c.is_ascii_digit()) && is_rounded(told, figure),
            None => told.is_empty() || told == "fails",
        };
        if !is_right {
            wrong.push(format!("{document}: {name}: {told:?}, which is {figure:?} for {peer}"));
        }
    };
    let peers = ["abaca/1", "tokio/1", "go/1", "may/1", "threads"];
    for document in ["README.md", "runtime/guide/costs.md"] {
        for row in read(document).lines().filter(|line| line.starts_with('|')).map(cells) {
            if let Some((name, workload)) = ROWS.iter().find(|(name, _)| *name == row[0]) {
                row[1..]
                    .iter()
                    .zip(peers)
                    .for_each(|(told, peer)| compare(document, name, told, workload, peer));
            } else if let Some((name, peer)) = PARKED.iter().find(|(name, _)| *name == row[0]) {
                let told = row[1].split(':').next().expect("a figure");
                compare(document, name, told, "idle 20k, bytes", peer);
            }
        }
    }
    assert!(compared >= 50, "only {compared} figures were found: do the rows have other names?");
    assert_none(&wrong, "write the figures of benches/RESULTS.md into the documents:");
}
