//! One HTTP server in four ways, each in a process of its own: what a request, an idle connection and ten thousand new ones cost.
//!
//! `cargo run --release -p abaca-transparent --example servers [ROUNDS [CONNECTIONS [MILLISECONDS]]]`
//!
//! | server | |
//! |---|---|
//! | `fibers` | std, a thread for each connection, and `threads_are_fibers` |
//! | `threads` | the same code without that line |
//! | `abaca` | the same code with `abaca::net` and `abaca::spawn` |
//! | `tokio`, `hyper` | a task for each connection, written by hand and by hyper 1, on one thread |
//!
//! The server runs on one processor and the clients on another; for two figures both on one. The servers take turns, and the figures are medians of all rounds.

mod limits;
mod measure;
mod process;
mod serve;

use std::error::Error;
use std::time::Duration;

use measure::Figures;

const KINDS: [&str; 5] = ["fibers", "abaca", "tokio", "hyper", "threads"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let files = limits::allow_files()?;
    if let [command, kind] = &arguments[..]
        && command == "serve"
    {
        return Ok(serve::serve(kind)?);
    }
    let rounds: usize = arguments.first().map_or(Ok(5), |text| text.parse())?;
    let wanted: usize = arguments.get(1).map_or(Ok(10_000), |text| text.parse())?;
    let time = Duration::from_millis(arguments.get(2).map_or(Ok(1500), |text| text.parse())?);
    let many = wanted.min(files.saturating_sub(100));
    if many < wanted {
        println!("the limit of open files (ulimit -Hn) allows {many} connections\n");
    }
    let mut all: Vec<(&str, Vec<Figures>)> = KINDS.map(|kind| (kind, Vec::new())).into();
    for round in 0..rounds {
        for turn in 0..KINDS.len() {
            let (kind, figures) = &mut all[(round + turn) % KINDS.len()];
            figures.push(measure::measure(kind, time, many)?);
            eprintln!("round {}, {kind}: {:?}", round + 1, figures.last().expect("it was pushed"));
        }
    }
    print(&all, many);
    Ok(())
}

fn median(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut all: Vec<f64> = figures.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// A figure: its name, how it is got, and the bar: the most that fibers may be of which server's.
type Row = (String, fn(&Figures) -> f64, &'static [(&'static str, f64)]);

fn print(all: &[(&str, Vec<Figures>)], many: usize) {
    let few: &[(&str, f64)] = &[("abaca", 1.10), ("hyper", 1.0), ("threads", 1.0)];
    let rows: [Row; 8] = [
        ("processor time a request, 64 connections, us".into(), |figures| figures.request_us[0], few),
        ("the same, 1,000 connections".into(), |figures| figures.request_us[1], few),
        ("the same, clients on its processor, 64".into(), |figures| figures.crowded_us[0], few),
        ("the same, 1,000".into(), |figures| figures.crowded_us[1], few),
        (
            format!("ms until {many} connections are served"),
            |figures| figures.accept_ms,
            &[("threads", 1.0 / 3.0)],
        ),
        (
            "processor time of a new connection, us".into(),
            |figures| figures.accept_us,
            &[("threads", 1.0 / 3.0)],
        ),
        ("bytes an idle connection".into(), |figures| figures.idle_bytes, &[("threads", 2.0 / 3.0)]),
        (
            "the same, kernel stacks among them".into(),
            |figures| figures.idle_bytes_with_stacks,
            &[("threads", 2.0 / 3.0)],
        ),
    ];
    println!("| what | {} | bars |\n|---|{}---|", KINDS.join(" | "), "---|".repeat(KINDS.len()));
    for (name, of, bars) in rows {
        let medians: Vec<f64> = all.iter().map(|(_, figures)| median(figures, of)).collect();
        let shown: Vec<String> = medians.iter().map(|median| format!("{median:.1}")).collect();
        let verdict = |(rival, most): &(&str, f64)| {
            // Rounds are compared with themselves: the machine changes between them.
            let rival_at = KINDS.iter().position(|kind| kind == rival).expect("it is measured");
            let pairs = all[0].1.iter().zip(&all[rival_at].1);
            let mut ratios: Vec<f64> = pairs.map(|(fibers, rival)| of(fibers) / of(rival)).collect();
            ratios.sort_by(f64::total_cmp);
            let ratio = ratios[ratios.len() / 2];
            let met = if ratio <= *most { "met" } else { "**missed**" };
            format!("{ratio:.2} of {rival}'s, {most:.2}: {met}")
        };
        let verdicts: Vec<String> = bars.iter().map(verdict).collect();
        println!("| {name} | {} | {} |", shown.join(" | "), verdicts.join("; "));
    }
}
