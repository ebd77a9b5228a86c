//! The bars of "a fiber is a thread": what a storage of its own costs a fiber, and what fibers that block their thread do to
//! their neighbours. Each sample in a process of its own, variants alternating, medians.
//!
//! `cargo run --release -p abaca-benches --features own-tls --bin bars` prints the table; without the feature there are only
//! plain fibers. `own_tls` is the group of what own storage costs, `connection` that of a lone connection, whose worker sleeps
//! between two requests, `blocked` that of what blocks a thread, `growth` that of what two workers share, `ramp`
//! that of many that begin to compute at once. `.. bars cold` is about
//! fibers that wait for long.

mod blocked;
mod cold;
mod connection;
mod cost;
mod growth;
mod ramp;
mod table;
mod variant;

use std::process::{Command, ExitCode};

use abaca_benches::sample::Sample;
use clap::{Parser, Subcommand};

use table::Cell;
use variant::Variant;

/// Measures what own storage costs, and what blocks a thread, and prints a table.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    /// Measurements whose group or name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Rounds; figures are medians over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Tiny amounts, one round: to see that everything works
    #[arg(long)]
    quick: bool,
}

/// What this process does; the measuring process starts the others.
#[derive(Subcommand)]
enum Role {
    /// Take one sample and print it as a line of JSON
    #[command(hide = true)]
    Sample {
        name: String,
        variant: String,
        #[arg(long)]
        quick: bool,
    },
    /// Measure fibers that wait for long, and print what is left of each, and what it takes to wake one
    Cold(cold::Options),
}

/// Something that is measured.
struct Measurement {
    group: &'static str,
    name: &'static str,
    /// The figures, by their names, each with the most that the bar allows, if there is a bar: of this value, or as a ratio to plain
    /// fibers.
    figures: &'static [(&'static str, Bar)],
    variants: &'static [Variant],
    sample: fn(Variant, bool) -> Sample,
}

/// How large a figure of the variant with own storage may be.
#[derive(Clone, Copy)]
enum Bar {
    /// At most this.
    AtMost(f64),
    /// At most this more than without.
    AtMostMore(f64),
    /// As large as it is.
    Any,
}

/// Every measurement, in the order of the table.
const ALL: &[Measurement] = &[
    Measurement {
        group: "own_tls",
        name: "yield",
        figures: &[("ns", Bar::AtMostMore(14.0))],
        variants: variant::OWN,
        sample: cost::yields,
    },
    Measurement {
        group: "own_tls",
        name: "spawn and join",
        figures: &[("ns", Bar::AtMostMore(25.0))],
        variants: variant::OWN,
        sample: cost::spawn_and_join,
    },
    Measurement {
        group: "own_tls",
        name: "parked fiber",
        // The bar's figure is that of a prototype, whose page tables were not counted.
        figures: &[("resident bytes", Bar::AtMost(8_900.0)), ("with page tables", Bar::Any)],
        variants: variant::OWN,
        sample: cost::parked,
    },
    Measurement {
        group: "connection",
        name: "one, there and back, two workers",
        figures: &[("p50 us", Bar::Any), ("p99 us", Bar::Any)],
        variants: variant::OWN,
        sample: connection::there_and_back,
    },
    Measurement {
        group: "blocked",
        name: "ten in poll for 200 ms beside a ticker",
        figures: &[("ms", Bar::AtMost(400.0)), ("ticker late ms", Bar::AtMost(5.0))],
        variants: variant::ALL,
        sample: blocked::ten_in_poll,
    },
    ramp("1 that computes", ramp::without_break::<1>),
    ramp("2 that compute", ramp::without_break::<2>),
    ramp("4 that compute", ramp::without_break::<4>),
    ramp("8 that compute", ramp::without_break::<8>),
    ramp("24 that compute", ramp::without_break::<24>),
    ramp("60 that compute", ramp::without_break::<60>),
    ramp("24 that compute and yield each 20 ms", ramp::in_burns::<24>),
    growth("spawn and join, both workers spawn", growth::spawn_and_join),
    growth("spawn of a thousand, of which half are stolen", growth::steal),
    growth("wake-up on the same worker", growth::wake_near),
    growth("wake-up of the other worker's fiber", growth::wake_far),
    growth("message through a channel between two workers", growth::channel),
    growth("mutex that both workers lock", growth::mutex),
    growth("accept and spawn", growth::accept),
];

/// What many that begin to compute at once do to a ticker, and how long all take to begin.
const fn ramp(name: &'static str, sample: fn(Variant, bool) -> Sample) -> Measurement {
    const FIGURES: &[(&str, Bar)] =
        &[("all begun ms", Bar::Any), ("late ms", Bar::Any), ("latest ms", Bar::Any)];
    Measurement { group: "ramp", name, figures: FIGURES, variants: variant::PREEMPTED, sample }
}

/// What two workers that share something take for it, beside one.
const fn growth(name: &'static str, sample: fn(Variant, bool) -> Sample) -> Measurement {
    const FIGURES: &[(&str, Bar)] = &[("ns", Bar::Any), ("cpu ns", Bar::Any)];
    Measurement { group: "growth", name, figures: FIGURES, variants: variant::GROWTH, sample }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Role::Cold(options)) = options.role {
        cold::measure(&options);
        return ExitCode::SUCCESS;
    }
    if let Some(Role::Sample { name, variant, quick }) = options.role {
        let measurement = ALL.iter().find(|one| one.name == name);
        let found = measurement.and_then(|one| one.variants.iter().find(|other| other.name() == variant));
        let (Some(measurement), Some(&variant)) = (measurement, found) else {
            eprintln!("no {name:?} of {variant:?}");
            return ExitCode::FAILURE;
        };
        let sample = (measurement.sample)(variant, quick);
        println!("{}", serde_json::to_string(&sample).expect("figures are finite"));
        return ExitCode::SUCCESS;
    }
    let rounds = if options.quick { 1 } else { options.rounds };
    let is_chosen =
        |one: &&Measurement| one.group.contains(&options.only) || one.name.contains(&options.only);
    let mut cells = Vec::new();
    for measurement in ALL.iter().filter(is_chosen) {
        let first = cells.len();
        cells.extend(measurement.variants.iter().map(|&variant| Cell::new(measurement, variant)));
        for _ in 0..rounds {
            for cell in &mut cells[first..] {
                match sample(cell, options.quick) {
                    Ok(sample) => cell.samples.push(sample),
                    Err(why) => {
                        eprintln!("{}, {}: {why}", measurement.name, cell.variant.name());
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
    }
    print!("{}", table::text(&cells, rounds));
    ExitCode::SUCCESS
}

/// A sample from a process of its own.
fn sample(cell: &Cell, quick: bool) -> Result<Sample, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["sample", cell.measurement.name, cell.variant.name()]).args(quick.then_some("--quick"));
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_gives_all_figures() {
        for measurement in ALL {
            for &variant in measurement.variants {
                let sample = (measurement.sample)(variant, true);
                for (figure, _) in measurement.figures {
                    assert!(sample.figures.contains_key(*figure), "{}, {figure}", measurement.name);
                }
            }
        }
    }
}
