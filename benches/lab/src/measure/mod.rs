//! A run of the lab: every model in turn, again and again, so that what disturbs the machine disturbs all of them.
//!
//! Each measurement starts its model anew. A model that does not start, crashes or cannot hold what is asked of it gives a
//! row with a note; the run goes on. An interruption ends the run after the measurement that is under way, and what was
//! measured is kept.

mod idle;
mod latency;
mod machine;
mod mixed;
mod process;
mod sustained;

pub(crate) use idle::open;
pub(crate) use latency::watched;
pub(crate) use process::memory;

use std::io;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::busy_loop::BusyLoop;
use crate::child::{Launcher, Server, StartError};
use crate::cpus;
use crate::data::{FORMAT, ModelRow, Run};
use crate::load::{self, Pace, Plan, Target};
use crate::micro::{self, Effort};
use crate::models::{Family, Model, Options};
use crate::report;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The models, in the order of the report.
    pub models: Vec<&'static Model>,
    /// How often each figure is taken.
    pub repetitions: u32,
    /// How long one load lasts.
    pub time: Duration,
    /// Shares of each model's sustained rate at which latency is measured.
    pub shares: Vec<f64>,
    /// Connections of a load, and processes or threads of the models that start them in advance.
    pub connections: usize,
    /// Whether each model has one worker on one CPU, and the generator the others.
    pub pinned: bool,
    /// Numbers of idle connections.
    pub idle: Vec<u64>,
    /// Whether micro costs are measured.
    pub micro: bool,
    /// Whether this is the quick run.
    pub quick: bool,
    /// The command that is being run, for the report.
    pub command: String,
}

/// How many times as often the figures are taken for which the report compares models with each other: a closed loop varies
/// by a third within minutes, a p99 by more, and the ratio of two of them is told by its median.
const ROUNDS_OF_COMPARED: u32 = 3;

/// How long a model is loaded that compiles its code as it runs, before it is measured.
const COMPILATION: Duration = Duration::from_secs(2);

/// Told what is measured next, with how many steps there are and how many are done; may end the run.
pub type Progress<'a> = dyn FnMut(&str, u64, u64) -> ControlFlow<()> + 'a;

/// What a run needs at every step.
struct Bench<'a, 'b> {
    settings: &'a Settings,
    launcher: Launcher,
    backend: Server,
    busy_loop: BusyLoop,
    run: Run,
    progress: &'a mut Progress<'b>,
    steps: u64,
    done: u64,
}

/// Runs all that the settings say.
///
/// # Errors
///
/// * The delay server does not start.
/// * This program cannot be started again as a child.
pub fn run(settings: &Settings, progress: &mut Progress<'_>) -> io::Result<Run> {
    let mut launcher = Launcher::of_this_program()?;
    if settings.pinned {
        launcher = launcher.on_cpu(cpus::set_one_aside()?);
    }
    let backend = launcher.delay_server().map_err(io::Error::other)?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let run = Run {
        format: FORMAT,
        began,
        command: settings.command.clone(),
        quick: settings.quick,
        machine: machine::machine(),
        versions: machine::versions(),
        models: settings.models.iter().map(|model| row(model)).collect(),
        ..Run::default()
    };
    let busy_loop = BusyLoop::calibrate();
    let mut bench = Bench { settings, launcher, backend, busy_loop, run, progress, steps: 0, done: 0 };
    bench.steps = bench.count_steps();
    let whole = bench.measure();
    bench.run.complete = whole.is_continue();
    Ok(bench.run)
}

fn row(model: &Model) -> ModelRow {
    ModelRow {
        name: model.name.to_owned(),
        family: family(model.family).to_owned(),
        description: format!("{}; state: {}", model.about, model.state),
        absent: model.available().err(),
    }
}

/// The name of a family in the report.
fn family(family: Family) -> &'static str {
    match family {
        Family::Processes => "processes",
        Family::Threads => "threads",
        Family::Events => "event loops",
        Family::Stackless => "stackless tasks",
        Family::Stackful => "stackful tasks",
    }
}

impl Bench<'_, '_> {
    /// The models that can run here.
    fn models(&self) -> Vec<&'static Model> {
        let absent = |name: &str| self.run.models.iter().any(|row| row.name == name && row.absent.is_some());
        self.settings.models.iter().copied().filter(|model| !absent(model.name)).collect()
    }

    /// Those that the report compares with each other, if that is more than one.
    fn compared(&self) -> Vec<&'static Model> {
        let mut models = self.models();
        models.retain(|model| report::is_compared(model.name));
        if models.len() > 1 { models } else { Vec::new() }
    }

    /// The share at which their latencies are compared, of those that are measured.
    fn compared_share(&self) -> Option<f64> {
        let distance = |share: &f64| (share - report::COMPARED_LOAD).abs();
        self.settings.shares.iter().copied().min_by(|one, other| distance(one).total_cmp(&distance(other)))
    }

    /// How many repetitions the compared figures have beyond those of all.
    fn more_repetitions(&self) -> u32 {
        if self.settings.quick { 0 } else { self.settings.repetitions * (ROUNDS_OF_COMPARED - 1) }
    }

    fn count_steps(&self) -> u64 {
        let settings = self.settings;
        let each = 2 + settings.shares.len() + settings.idle.len() + mixed::SCENARIOS.len();
        self.models().len() as u64 * u64::from(settings.repetitions) * each as u64
            + self.compared().len() as u64
                * u64::from(self.more_repetitions())
                * (1 + u64::from(self.compared_share().is_some()))
            + if settings.micro { micro::steps(self.effort()) } else { 0 }
    }

    fn measure(&mut self) -> ControlFlow<()> {
        let first = self.settings.repetitions + 1;
        let (compared, more) = (self.compared(), first..first + self.more_repetitions());
        self.each_in_turn("peak", Self::peak)?;
        self.in_turn(&compared, more.clone(), "peak of those that are compared", Self::peak)?;
        self.each_in_turn("sustained rate", Self::sustained)?;
        for share in self.settings.shares.clone() {
            let what = format!("{:.0} % of the sustained rate", share * 100.0);
            let latency = move |bench: &mut Self, model, repetition| bench.latency(model, share, repetition);
            self.each_in_turn(&what, latency)?;
            if self.compared_share() == Some(share) {
                let what = format!("{what} of those that are compared");
                self.in_turn(&compared, more.clone(), &what, latency)?;
            }
        }
        for connections in self.settings.idle.clone() {
            let what = format!("{connections} idle connections");
            self.each_in_turn(&what, move |bench, model, repetition| {
                bench.idle(model, connections, repetition)
            })?;
        }
        for scenario in mixed::SCENARIOS {
            self.each_in_turn(scenario.name, move |bench, model, repetition| {
                bench.mixed(model, scenario, repetition);
            })?;
        }
        if !self.settings.micro {
            return ControlFlow::Continue(());
        }
        let effort = self.effort();
        let (progress, steps, mut done) = (&mut self.progress, self.steps, self.done);
        let mut stopped = false;
        self.run.micros = micro::all(effort, &mut |what| {
            let goes_on = progress(what, done, steps);
            done += 1;
            stopped |= goes_on.is_break();
            goes_on
        });
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn effort(&self) -> Effort {
        Effort {
            repetitions: self.settings.repetitions,
            time: self.settings.time / 10,
            most_tasks: if self.settings.quick { 10_000 } else { 1_000_000 },
        }
    }

    /// Every model once, and so on for every repetition.
    fn each_in_turn(
        &mut self,
        what: &str,
        measure: impl Fn(&mut Self, &'static Model, u32),
    ) -> ControlFlow<()> {
        self.in_turn(&self.models(), 1..self.settings.repetitions + 1, what, measure)
    }

    /// Each of the models once, and so on for each of the repetitions.
    fn in_turn(
        &mut self,
        models: &[&'static Model],
        repetitions: Range<u32>,
        what: &str,
        measure: impl Fn(&mut Self, &'static Model, u32),
    ) -> ControlFlow<()> {
        for repetition in repetitions {
            for &model in models {
                (self.progress)(&format!("{}: {what}", model.name), self.done, self.steps)?;
                measure(self, model, repetition);
                self.done += 1;
            }
        }
        ControlFlow::Continue(())
    }

    /// Starts the model as it is when nobody has used it.
    fn start(&self, model: &Model) -> Result<Server, StartError> {
        self.launcher.model(model, &self.options())
    }

    /// Starts the model, and loads it for as long as it needs to be as fast as it gets.
    fn start_warm(&self, model: &Model) -> Result<Server, StartError> {
        let server = self.start(model)?;
        if model.compiles_as_it_runs {
            let time = COMPILATION.min(self.settings.time * 5);
            // What goes wrong here goes wrong in the measurement too, which says so.
            let _ = load::run(&Plan::new(target(&server, "/"), Pace::Closed, self.connections(model), time));
        }
        Ok(server)
    }

    fn options(&self) -> Options {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if self.settings.pinned { 1 } else { cpus };
        Options {
            backend: self.backend.address(),
            workers,
            pool: self.settings.connections,
            busy_loop: self.busy_loop,
        }
    }

    /// How many connections a load may use, so that each is served.
    fn connections(&self, model: &Model) -> usize {
        let wanted = self.settings.connections;
        model.capacity.clients(&self.options()).map_or(wanted, |clients| clients.min(wanted))
    }

    /// The median of the sustained rates so far, in requests per second.
    fn sustained_rate(&self, model: &Model) -> Option<f64> {
        self.run.sustained_by(model.name).map(|rate| rate.median)
    }
}

fn target(server: &Server, path: &str) -> Target {
    Target { address: server.address(), path: path.to_owned() }
}

/// Why a model gave no figures: what it said, or else the error.
fn why(server: &mut Server, error: &dyn std::fmt::Display) -> String {
    server.failure().unwrap_or_else(|| error.to_string())
}
