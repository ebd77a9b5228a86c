//! The section of `RESULTS.md` about servers.

use std::fmt::Write;

use super::measure::{Row, Settings};
use super::{Model, bars};

/// A table per scenario.
pub(crate) fn table(rows: &[Row], settings: &Settings) -> String {
    let mut text = String::from("## Servers\n\n");
    let _ = writeln!(
        text,
        "Server and client are processes of their own on loopback; one request in flight per connection; medians of {} \
         rounds of {} s, models alternating. \"Pinned\": one worker on CPU 0, the client on CPU 1. \"Free\": two \
         workers, no affinity. System calls are counted by strace in a run of their own. may makes 1,000 \
         stacks when it starts, which are in nobody's idle bytes. Command: `cargo run --release -p abaca-benches --bin \
         servers`.\n",
        settings.rounds, settings.seconds
    );
    let mut at = 0;
    while at < rows.len() {
        let scenario = rows[at].scenario;
        let group: Vec<_> = rows[at..].iter().take_while(|row| row.scenario == scenario).collect();
        at += group.len();
        let base = group.iter().find(|row| row.model == Model::Epoll).and_then(|row| row.cpu_us());
        let _ = writeln!(text, "### {scenario}\n");
        text.push_str(
            "| model | CPU us/request | spread | to epoll | requests/s | p50 us | p99 us | calls/request | idle bytes |\n",
        );
        text.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for row in &group {
            let _ = writeln!(text, "{}", line(row, base));
        }
        text.push('\n');
        if !settings.small {
            for line in bars::lines(&group) {
                let _ = writeln!(text, "{line}");
            }
            text.push('\n');
        }
    }
    text
}

fn line(row: &Row, base: Option<f64>) -> String {
    let name = format!("{:?}", row.model).to_lowercase();
    let Some(cpu) = row.cpu_us() else {
        return format!("| {name} | absent or failed | | | | | | | |");
    };
    let all = || row.samples.iter().map(|sample| sample.cpu_us);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let number = |figure: Option<f64>, digits: usize| {
        figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
    };
    format!(
        "| {name} | {cpu:.2} | {least:.2}-{most:.2} | {} | {} | {} | {} | {} | {} |",
        number(base.map(|base| cpu / base), 2),
        number(row.rate(), 0),
        number(row.p50_us(), 0),
        number(row.p99_us(), 0),
        number(row.calls(), 2),
        number(row.idle_bytes(), 0)
    )
}
