//! Task workloads of every peer side by side: each measurement in a process of its own, peers alternating, medians.
//!
//! `cargo run --release -p abaca-benches --bin compare` measures everything and writes `RESULTS.md`.

mod bars;
mod foreign;
mod machine;
mod measure;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use abaca_benches::peer::{self, Peer};
use abaca_benches::workloads::{self, Entry};
use clap::{Parser, Subcommand};

/// Measures abaca and its peers on the task workloads and compares the figures with the project's bars.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    /// Workloads whose names contain one of these; all without it
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Peers such as abaca/2, tokio/1, tokio-ct, may/2, go/1, java/2, threads, crates, corosensei; all without it
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Rounds; figures are medians over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Tiny amounts, one round, nothing written: to see that everything works
    #[arg(long)]
    quick: bool,
    /// The report; only a run of all workloads and peers writes it
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md"))]
    out: PathBuf,
}

/// What this process does; the comparing process starts the others.
#[derive(Subcommand)]
enum Role {
    /// Run one workload on one peer and print its figures as a line of JSON
    #[command(hide = true)]
    Sample {
        workload: String,
        peer: Peer,
        #[arg(long)]
        quick: bool,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Role::Sample { workload, peer, quick }) = options.role {
        return sample(&workload, peer, quick);
    }
    let chosen: Vec<&Entry> = workloads::ALL
        .iter()
        .filter(|entry| {
            options.workloads.is_empty()
                || options.workloads.iter().any(|part| entry.name.contains(part.as_str()))
        })
        .collect();
    let peers = if options.peers.is_empty() { peer::ALL } else { &options.peers[..] };
    let rounds = if options.quick { 1 } else { options.rounds };
    let results =
        measure::run(&chosen, peers, rounds, options.quick, |cells| eprint!("{}", report::lines(cells)));
    let text = report::text(&results, rounds, options.quick);
    println!("{text}");
    let complete = options.workloads.is_empty() && options.peers.is_empty() && !options.quick;
    if complete && let Err(error) = std::fs::write(&options.out, &text) {
        eprintln!("{}: {error}", options.out.display());
        return ExitCode::FAILURE;
    }
    // A peer that cannot do a workload is a result; the project's own runtime that cannot is a failure.
    if results.failed_at_home() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn sample(workload: &str, peer: Peer, quick: bool) -> ExitCode {
    let entry = workloads::ALL.iter().find(|entry| entry.name == workload);
    let Some(sample) = entry.and_then(|entry| entry.sample(peer, quick)) else {
        eprintln!("{workload:?} has no form on {peer}");
        return ExitCode::FAILURE;
    };
    println!("{}", serde_json::to_string(&sample).expect("figures are finite"));
    ExitCode::SUCCESS
}
