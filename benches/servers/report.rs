//! The section of `RESULTS.md` about servers.

use std::fmt::Write;

use super::Model;
use super::measure::{Row, Sample, Settings};

fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A table per scenario.
pub(crate) fn table(rows: &[Row], settings: &Settings) -> String {
    let mut text = String::from("## Servers\n\n");
    let _ = writeln!(
        text,
        "Server and client are processes of their own on loopback; one request in flight per connection; medians of {} \
         rounds of {} s, models alternating. \"Pinned\": one worker on CPU 0, the client on CPU 1. \"Free\": two \
         workers, no affinity. Command: `cargo run --release -p abaca-benches --bin servers`.\n",
        settings.rounds, settings.seconds
    );
    let mut at = 0;
    while at < rows.len() {
        let scenario = rows[at].scenario;
        let group: Vec<_> = rows[at..].iter().take_while(|row| row.scenario == scenario).collect();
        at += group.len();
        let base =
            group.iter().find(|row| row.model == Model::Epoll).map(|row| median(&row.samples, |s| s.cpu_us));
        let _ = writeln!(text, "### {scenario}\n");
        text.push_str(
            "| model | CPU us/request | spread | to epoll | requests/s | p50 us | p99 us | idle bytes |\n",
        );
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for row in group {
            let _ = writeln!(text, "{}", line(row, base.unwrap_or(f64::NAN)));
        }
        text.push('\n');
    }
    text
}

fn line(row: &Row, base: f64) -> String {
    let samples = &row.samples;
    let name = format!("{:?}", row.model).to_lowercase();
    if samples.is_empty() {
        return format!("| {name} | absent or failed | | | | | | |");
    }
    let cpu = median(samples, |s| s.cpu_us);
    let least = samples.iter().map(|s| s.cpu_us).fold(f64::INFINITY, f64::min);
    let most = samples.iter().map(|s| s.cpu_us).fold(0.0, f64::max);
    let idle =
        samples[0].idle_bytes.map(|_| format!("{:.0}", median(samples, |s| s.idle_bytes.unwrap_or(0.0))));
    format!(
        "| {name} | {cpu:.2} | {least:.2}-{most:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {} |",
        cpu / base,
        median(samples, |s| s.rate),
        median(samples, |s| s.p50_us),
        median(samples, |s| s.p99_us),
        idle.unwrap_or_default()
    )
}
