//! The main command: a run of measurements with live progress, which ends cleanly on Ctrl-C and still writes what is
//! done; and the comparison of two runs.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca_lab::data::Run;
use abaca_lab::measure::{self, Settings};
use abaca_lab::models::{self, Model};
use abaca_lab::{limits, report};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// What to measure.
#[derive(Args)]
pub(crate) struct RunOptions {
    /// Few repetitions of small loads: about a minute, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Models, as `models` lists them, with commas between, or `none`; all without it
    #[arg(long, value_parser = List::of(model))]
    models: Option<List<&'static Model>>,
    /// Shares of the rate that each model sustains, at which latency is measured, in percent, or `none`
    #[arg(long, value_parser = List::of(percent))]
    rates: Option<List<u16>>,
    /// Numbers of idle connections, or `none`; `max` is as many as the limits allow
    #[arg(long, value_parser = List::of(idle))]
    idle: Option<List<u64>>,
    /// Connections of a load
    #[arg(long, default_value_t = models::DEFAULT_POOL, value_parser = connections)]
    connections: usize,
    /// One worker on a CPU of its own for each model, and the other CPUs for the generator
    #[arg(long)]
    pin: bool,
    /// How often each figure is taken
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99))]
    repetitions: Option<u32>,
    /// How long one load lasts: 500ms, 2s
    #[arg(long, value_parser = super::duration)]
    duration: Option<Duration>,
    /// Leave out the micro costs
    #[arg(long)]
    no_micro: bool,
    /// The folder for the report and the raw figures
    #[arg(long, default_value = "lab-report")]
    out: PathBuf,
}

/// How the lab is started from the root of the project.
pub(crate) const COMMAND: &str = "cargo run --release --manifest-path benches/lab/Cargo.toml";

/// What was chosen, which may be nothing.
#[derive(Clone)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> List<T> {
    /// A parser of lists of what `one` parses.
    pub(crate) fn of(one: fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Self, String> + Clone {
        move |text| match text {
            "none" => Ok(Self(Vec::new())),
            _ => text.split(',').map(one).collect::<Result<_, _>>().map(Self),
        }
    }
}

fn model(name: &str) -> Result<&'static Model, String> {
    models::MODELS.iter().find(|model| model.name == name).ok_or_else(|| {
        let names: Vec<&str> = models::MODELS.iter().map(|model| model.name).collect();
        format!("the models are {}", names.join(", "))
    })
}

fn connections(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("{text:?} is no number above zero"))
}

fn percent(text: &str) -> Result<u16, String> {
    let percent = text.parse().ok().filter(|percent| (1..=500).contains(percent));
    percent.ok_or_else(|| format!("{text:?} is no number from 1 to 500"))
}

fn idle(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("not above zero".to_owned()),
        Ok(connections) => Ok(connections),
        Err(_) if text == "max" => Ok(limits::most_connections()),
        Err(_) => Err("neither a number nor `max`".to_owned()),
    }
}

/// Measures, and writes `report.html` and `run.json`.
pub(crate) fn run(options: &RunOptions) -> io::Result<()> {
    // A path that cannot be written to, or a disk without room, is an error before the run, not after it.
    let out = Output::open(&options.out)?;
    let settings = settings(options);
    eprintln!("{}", limits::told());
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(io::Error::other)?;
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len}, {eta} left: {msg}")
            .map_err(io::Error::other)?,
    );
    let mut phase = String::new();
    let run = measure::run(&settings, &mut |what, done, steps| {
        // Asked before anything is said: what is announced is measured.
        let goes_on = !stopped.load(Ordering::Relaxed);
        // Without a terminal, a line for each phase instead of a bar.
        let now = what.split_once(": ").map_or(what, |(_model, phase)| phase);
        if bar.is_hidden() && phase != now {
            now.clone_into(&mut phase);
            eprintln!("{done}/{steps}: {phase}");
        }
        bar.set_length(steps);
        bar.set_position(done);
        bar.set_message(what.to_owned());
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    bar.finish_and_clear();
    let (report, raw) = out.write(&run)?;
    let state = if run.complete { "done" } else { "interrupted" };
    println!("{state}: {} and {}", report.display(), raw.display());
    Ok(())
}

fn settings(options: &RunOptions) -> Settings {
    let quick = options.quick;
    let percents = match &options.rates {
        Some(chosen) => chosen.0.clone(),
        None if quick => vec![30, 70],
        None => vec![10, 30, 50, 70, 90, 100, 120],
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    Settings {
        models: options
            .models
            .as_ref()
            .map_or_else(|| models::MODELS.iter().collect(), |chosen| chosen.0.clone()),
        repetitions: options.repetitions.unwrap_or(if quick { 1 } else { 5 }),
        time: options.duration.unwrap_or(Duration::from_millis(if quick { 150 } else { 1500 })),
        shares: percents.into_iter().map(|percent| f64::from(percent) / 100.0).collect(),
        connections: options.connections,
        pinned: options.pin,
        idle: match &options.idle {
            Some(chosen) => chosen.0.clone(),
            None if quick => vec![200],
            None => vec![1000, 10_000, limits::most_connections()],
        },
        micro: !options.no_micro,
        quick,
        command: format!("{COMMAND} -- {}", arguments.join(" ")).trim_end().to_owned(),
    }
}

/// Which runs to compare.
#[derive(Args)]
pub(crate) struct CompareOptions {
    /// The raw figures of the first run; alone, its report is made anew
    first: PathBuf,
    /// The raw figures of the second run
    second: Option<PathBuf>,
    /// The file for the report
    #[arg(long, default_value = "comparison.html")]
    out: PathBuf,
}

/// Compares two runs, or makes the report of one anew.
pub(crate) fn compare(options: &CompareOptions) -> io::Result<()> {
    let read = |path: &Path| Run::read(path).map_err(io::Error::other);
    let first = read(&options.first)?;
    let page = match &options.second {
        Some(second) => report::changes(&first, &read(second)?),
        None => report::html(&first),
    };
    let failed = |error| io::Error::other(format!("{}: {error}", options.out.display()));
    std::fs::write(&options.out, page).map_err(failed)?;
    writeln!(io::stdout(), "{}", options.out.display())
}
