//! Measuring: one child process per figure, so that no runtime disturbs another and a crash is one cell of the table.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use abaca_benches::peer::Peer;
use abaca_benches::sample::Sample;
use abaca_benches::workloads::Entry;

use super::foreign::Foreign;

/// A child that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one peer did in one workload.
pub(crate) struct Cell {
    pub(crate) workload: &'static str,
    pub(crate) peer: Peer,
    /// One per round; empty if the peer failed.
    pub(crate) samples: Vec<Sample>,
    failed: bool,
}

/// Every cell, in the order of workloads and peers.
pub(crate) struct Results {
    pub(crate) cells: Vec<Cell>,
}

impl Results {
    /// The cell of a peer in a workload, if it was measured.
    pub(crate) fn cell(&self, workload: &str, peer: Peer) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.workload == workload && cell.peer == peer)
    }

    /// Whether the project's own runtime failed anywhere.
    pub(crate) fn failed_at_home(&self) -> bool {
        self.cells.iter().any(|cell| cell.failed && cell.peer.is_abaca())
    }
}

impl Cell {
    /// The figures of all rounds under a name, in ascending order.
    pub(crate) fn figures(&self, name: &str) -> Vec<f64> {
        let mut figures: Vec<f64> =
            self.samples.iter().filter_map(|sample| sample.figures.get(name).copied()).collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let figures = self.figures(name);
        figures.get(figures.len() / 2).copied()
    }
}

/// Measures every chosen workload on every chosen peer that has a form of it. Whoever calls is told of each workload that is done, and so
/// keeps what there is if the run is ended early.
pub(crate) fn run(
    workloads: &[&Entry],
    peers: &[Peer],
    rounds: u16,
    quick: bool,
    done: impl Fn(&[Cell]),
) -> Results {
    let foreign = Foreign::build(peers);
    let mut results = Results { cells: Vec::new() };
    for &workload in workloads {
        let first = results.cells.len();
        for &peer in peers {
            if workload.range(peer, quick).is_some() && foreign.has(peer) {
                results.cells.push(Cell {
                    workload: workload.name,
                    peer,
                    samples: Vec::new(),
                    failed: false,
                });
            }
        }
        for round in 1..=rounds {
            for cell in results.cells[first..].iter_mut().filter(|cell| !cell.failed) {
                eprint!("\r{:<20} round {round} of {rounds}  {:<12}", cell.workload, cell.peer);
                match sample(workload, cell.peer, quick, &foreign) {
                    Ok(sample) => cell.samples.push(sample),
                    Err(why) => {
                        // What the child itself said stands above.
                        eprintln!("\n{why}");
                        cell.samples.clear();
                        cell.failed = true;
                    }
                }
            }
        }
        eprint!("\r{:60}\r", "");
        done(&results.cells[first..]);
    }
    results
}

fn sample(workload: &Entry, peer: Peer, quick: bool, foreign: &Foreign) -> Result<Sample, String> {
    let mut command = match foreign.command(peer) {
        Some(mut command) => {
            let (start, most) = workload.range(peer, quick).ok_or("no form")?;
            command.args([workload.name, &start.to_string(), &most.to_string()]);
            command
        }
        None => {
            let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
            command.args(["sample", workload.name, &peer.to_string()]).args(quick.then_some("--quick"));
            command
        }
    };
    let output = output_of(&mut command)?;
    serde_json::from_str(&output).map_err(|error| format!("{peer}: {error} in {output:?}"))
}

/// The output of a child that ends well and in time.
fn output_of(command: &mut Command) -> Result<String, String> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = Killed(spawned.map_err(|error| format!("{command:?}: {error}"))?);
    let began = Instant::now();
    // The line fits the pipe, so the child never waits for us to read it.
    let status = loop {
        match child.0.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if began.elapsed() > PATIENCE => return Err(format!("{command:?}: takes too long")),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let mut output = String::new();
    if let Some(mut pipe) = child.0.stdout.take() {
        pipe.read_to_string(&mut output).map_err(|error| error.to_string())?;
    }
    if status.success() { Ok(output) } else { Err(format!("{command:?}: {status}")) }
}

/// A child that does not outlive its measurement.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only if the child has ended, which is what we want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
