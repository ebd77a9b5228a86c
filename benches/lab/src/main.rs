//! The command line of the lab: without arguments it measures every model and writes a report; `models`
//! lists the models, `serve` runs one, `load` loads any HTTP server, `bars` measures what the project's bars are about,
//! `report` compares two runs.

mod bars_command;
mod output;
mod run;

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use abaca_lab::busy_loop::BusyLoop;
use abaca_lab::load::{Pace, Plan, Target};
use abaca_lab::{child, cpus, delay, limits, load, micro, models};
use clap::{Args, Parser, Subcommand};

use crate::bars_command::BarsOptions;
use crate::run::{CompareOptions, RunOptions};

/// One service in every concurrency model, side by side
#[derive(Parser)]
#[command(name = "abaca-lab", args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: RunOptions,
}

#[derive(Subcommand)]
enum Command {
    /// List the models and whether they can run here
    Models,
    /// Serve in one model until standard input ends; prints the address
    Serve(Serve),
    /// Load an HTTP server and print what it did
    Load(Load),
    /// Measure what the project's bars for servers are about, and print a table
    Bars(BarsOptions),
    /// Compare two runs by their raw figures, or make the report of one anew
    Report(CompareOptions),
    /// Print the bytes that a suspended task holds: a part of the micro costs, in a process of its own
    #[command(hide = true)]
    Held { what: String, side: String, at: u64 },
    /// Answer lines of milliseconds after that time: the backend of the models; prints the address
    #[command(hide = true)]
    Delay,
}

#[derive(Args)]
struct Serve {
    /// The model's name, as `models` lists it
    model: String,
    /// The delay server; without one, it starts its own
    #[arg(long)]
    backend: Option<SocketAddr>,
    /// Workers of models that have them [default: the number of CPUs]
    #[arg(long)]
    workers: Option<usize>,
    /// Processes or threads of models that start them in advance
    #[arg(long, default_value_t = models::DEFAULT_POOL)]
    pool: usize,
    /// The only CPU to run on
    #[arg(long)]
    cpu: Option<usize>,
    /// The speed of the loop that burns CPU [default: measured]
    #[arg(long)]
    iterations_per_us: Option<f64>,
}

#[derive(Args)]
struct Load {
    /// http://host:port/path
    url: Target,
    /// Requests per second over all connections
    #[arg(long, required_unless_present = "closed", value_parser = positive)]
    rate: Option<f64>,
    /// Send as soon as the answer to the request before has come, on each connection
    #[arg(long, conflicts_with = "rate")]
    closed: bool,
    /// Connections that share the requests
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How long to measure: 500ms, 10s, 2m
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// How long to load before measuring
    #[arg(long, default_value = "0s", value_parser = duration)]
    warmup: Duration,
    /// A new connection for each request
    #[arg(long)]
    no_keep_alive: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("not above zero".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("unknown unit {unit:?}: use ms, s or m")),
    };
    let number: f64 = number.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    limits::raise_open_files();
    let options = Options::parse();
    let outcome = match options.command {
        Some(Command::Models) => list_models(),
        Some(Command::Serve(options)) => serve(&options).map(|never| match never {}),
        Some(Command::Load(options)) => run_load(&options),
        Some(Command::Delay) => serve_delays().map(|never| match never {}),
        Some(Command::Bars(options)) => bars_command::run(&options),
        Some(Command::Report(options)) => run::compare(&options),
        Some(Command::Held { what, side, at }) => held(&what, &side, at),
        None => run::run(&options.settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn held(what: &str, side: &str, at: u64) -> io::Result<()> {
    // Its standard input is that of the lab, so that its end says nothing.
    child::end_with_starter();
    let bytes = micro::held_in_this_process(what, side, at).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{bytes}")
}

fn list_models() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for model in models::MODELS.iter().chain(models::OTHERS) {
        let missing =
            model.available().err().map(|why| format!(" [not available: {why}]")).unwrap_or_default();
        writeln!(out, "{:<18} {}; state: {}{missing}", model.name, model.about, model.state)?;
    }
    Ok(())
}

fn serve(options: &Serve) -> io::Result<Infallible> {
    if let Some(cpu) = options.cpu {
        cpus::run_on(cpu)?;
    }
    child::end_with_parent();
    let model = models::find(&options.model)
        .ok_or_else(|| io::Error::other(format!("no model {}; `models` lists them", options.model)))?;
    let backend = match options.backend {
        Some(backend) => backend,
        None => {
            // Whoever has started a backend has asked this before.
            model.available().map_err(io::Error::other)?;
            child::delay_server_beside()?
        }
    };
    let busy_loop = match options.iterations_per_us {
        Some(iterations_per_us) => BusyLoop { iterations_per_us },
        None => BusyLoop::calibrate(),
    };
    let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = options.workers.unwrap_or_else(cpus);
    let listener = models::listen()?;
    announce(&listener)?;
    model.serve(listener, &models::Options { backend, workers, pool: options.pool, busy_loop })
}

fn serve_delays() -> io::Result<Infallible> {
    child::end_with_parent();
    let listener = models::listen()?;
    announce(&listener)?;
    delay::serve(listener)
}

/// Tells the parent, or whoever reads, where this process listens.
fn announce(listener: &TcpListener) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()
}

fn run_load(options: &Load) -> io::Result<()> {
    let pace = options.rate.map_or(Pace::Closed, |rate| Pace::Open { rate });
    let mut plan = Plan::new(options.url.clone(), pace, options.connections as usize, options.duration);
    plan.warmup = options.warmup;
    plan.keep_alive = !options.no_keep_alive;
    let report = load::run(&plan)?;
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)
    } else {
        writeln!(out, "{report}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        assert!(duration("3h").is_err() && duration("-1s").is_err() && duration("s").is_err());
    }
}
