//! The command `bars`: measures what the project's bars for servers are about, and prints a table.

use std::io::{self, Write};
use std::time::Duration;

use abaca_lab::bars::{self, Scenario, Settings};
use abaca_lab::child::Launcher;
use abaca_lab::models::{self, Model};
use clap::Args;

use crate::run::{COMMAND, List};

/// What to measure.
#[derive(Args)]
pub(crate) struct BarsOptions {
    /// Only loads whose names contain this
    #[arg(long, default_value = "")]
    only: String,
    /// Models, as `models` lists them, with commas between; without it, those that the bars are about
    #[arg(long, value_parser = List::of(model))]
    models: Option<List<&'static Model>>,
    /// How often each figure is taken
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// How long one load is measured: 500ms, 4s
    #[arg(long, default_value = "4s", value_parser = super::duration)]
    duration: Duration,
}

fn model(name: &str) -> Result<&'static Model, String> {
    models::find(name).ok_or_else(|| format!("no model {name}; `models` lists them"))
}

/// Longer than any server that works keeps an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures, and prints the table.
pub(crate) fn run(options: &BarsOptions) -> io::Result<()> {
    let chosen = |scenario: &&Scenario| scenario.name.contains(&options.only);
    let settings = Settings {
        scenarios: bars::ALL.iter().filter(chosen).collect(),
        models: options.models.as_ref().map(|chosen| chosen.0.clone()),
        rounds: options.rounds,
        time: options.duration,
        patience: PATIENCE,
    };
    let measured = bars::run(&Launcher::of_this_program()?, &settings, &mut |what| eprintln!("{what}"))?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("{COMMAND} -- {}", arguments.join(" "));
    write!(io::stdout(), "{}", bars::table(&settings, &measured, &command))
}
