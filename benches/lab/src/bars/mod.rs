//! The project's bars for servers: what others see of requests that keep a CPU busy, closed loops of small ones, the CPU time of
//! a request, and the memory of a connection that is idle.
//!
//! Every model in turn, again and again, each time in a process of its own: what disturbs the machine disturbs all of them. A
//! figure is the median of the rounds; a ratio is that of two models within a round, and the median of those.
//!
//! Server and generator share two CPUs, and neither is bound to one of them: the servers have two workers, which want both, and
//! the generator needs a few percent of one. So that it is on time although the servers keep both busy, it has a real-time
//! priority where that is allowed, and its lateness stands beside what it has measured. In a closed loop it is one more
//! process like the server, as wrk would be. Where CPU time is measured, a server of one worker and the generator have a CPU
//! each.
//!
//! Another model, of this project or another, takes part by its name alone: it is one of [`crate::models`], and in a
//! scenario's list.

mod bar;
mod scenario;
mod table;

use std::time::Duration;
use std::{io, thread};

pub use bar::{Bar, Figure, Outcome};
use scenario::Load;
pub use scenario::{ALL, Scenario};
pub use table::table;

use crate::busy_loop::BusyLoop;
use crate::child::{Launcher, Server};
use crate::cpus;
use crate::load;
use crate::measure::{memory, open, watched};
use crate::models::{self, Model, Options};

/// Workers of each server that is not bound to a CPU, and CPUs of all.
pub const WORKERS: usize = 2;

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The scenarios, in the order of the table.
    pub scenarios: Vec<&'static Scenario>,
    /// Models that take part in each scenario; its own list if `None`.
    pub models: Option<Vec<&'static Model>>,
    /// How often each figure is taken.
    pub rounds: u32,
    /// How long one load is measured.
    pub time: Duration,
    /// How long to wait for the last answers.
    pub patience: Duration,
}

impl Settings {
    /// Who takes part in a scenario.
    fn models_of(&self, scenario: &Scenario) -> Vec<&'static Model> {
        self.models.clone().unwrap_or_else(|| scenario.models())
    }
}

/// What one model was under one load, in one round.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which scenario.
    pub scenario: &'static Scenario,
    /// Which model.
    pub model: &'static str,
    /// Which round, from 1.
    pub round: u32,
    /// What was measured, or why there is nothing.
    pub outcome: Result<Outcome, String>,
}

/// Measures all that the settings say, with the models that can run here. Tells `progress` what comes next.
///
/// # Errors
///
/// * This program cannot be started again as a child.
/// * The delay server, which models want to know, does not start.
/// * The CPUs cannot be chosen.
pub fn run(
    launcher: &Launcher,
    settings: &Settings,
    progress: &mut dyn FnMut(&str),
) -> io::Result<Vec<Measured>> {
    cpus::keep(WORKERS)?;
    let backend = launcher.delay_server().map_err(io::Error::other)?;
    let options = Options {
        backend: backend.address(),
        workers: WORKERS,
        pool: models::DEFAULT_POOL,
        busy_loop: BusyLoop::calibrate(),
    };
    let mut all = Vec::new();
    for round in 1..=settings.rounds {
        for &scenario in &settings.scenarios {
            let mut models = settings.models_of(scenario);
            models.retain(|model| model.available().is_ok());
            for model in in_turn(&models, round) {
                progress(&format!("round {round} of {}: {}, {}", settings.rounds, scenario.name, model.name));
                let outcome = measure(launcher, settings, scenario, model, &options, round);
                all.push(Measured { scenario, model: model.name, round, outcome });
            }
        }
    }
    Ok(all)
}

/// The models, each round with another one first.
fn in_turn(models: &[&'static Model], round: u32) -> Vec<&'static Model> {
    let mut models = models.to_vec();
    let first = round as usize % models.len().max(1);
    models.rotate_left(first);
    models
}

fn measure(
    launcher: &Launcher,
    settings: &Settings,
    scenario: &Scenario,
    model: &Model,
    options: &Options,
    round: u32,
) -> Result<Outcome, String> {
    if !scenario.is_pinned {
        return measure_from_here(launcher, settings, scenario, model, options, round);
    }
    let options = Options { workers: 1, ..*options };
    // A thread takes along on which CPUs it runs.
    let pinned = || {
        let cpu = cpus::set_one_aside().map_err(|error| error.to_string())?;
        measure_from_here(&launcher.clone().on_cpu(cpu), settings, scenario, model, &options, round)
    };
    thread::scope(|scope| scope.spawn(pinned).join()).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

fn measure_from_here(
    launcher: &Launcher,
    settings: &Settings,
    scenario: &Scenario,
    model: &Model,
    options: &Options,
    round: u32,
) -> Result<Outcome, String> {
    let mut server = launcher.model(model, options).map_err(|error| error.to_string())?;
    let plan = load::Plan {
        duration: settings.time,
        warmup: settings.time / 5,
        patience: settings.patience,
        ..scenario.plan(server.address(), round)
    };
    let outcome = match scenario.load {
        Load::Idle { is_later } => {
            idle(&server, scenario, if is_later { settings.time } else { Duration::ZERO })
        }
        _ if scenario.is_pinned => watched(&server, &plan).map(|(report, used)| Outcome {
            load: Some(report),
            cpu_us: used.map(|used| used.cpu_seconds * 1e6),
            ..Outcome::default()
        }),
        _ => load::run(&plan).map(|report| Outcome { load: Some(report), ..Outcome::default() }),
    };
    let outcome = outcome.map_err(|error| why(&mut server, &error))?;
    server.failure().map_or(Ok(outcome), Err)
}

/// What an idle connection of a server holds this time after the last of them was served.
fn idle(server: &Server, scenario: &Scenario, after: Duration) -> io::Result<Outcome> {
    // What the first connections make the model allocate once is not theirs.
    let first = open(server, 16, scenario.path);
    let before = memory(server);
    let (held, failure) = open(server, scenario.connections as u64, scenario.path);
    if let Some(error) = first.1.or(failure) {
        return Err(error);
    }
    thread::sleep(after);
    let bytes = memory(server).saturating_sub(before) as f64 / held.len() as f64;
    Ok(Outcome { bytes: Some(bytes), ..Outcome::default() })
}

/// Why a model gave no figures: what it said, or else the error.
fn why(server: &mut Server, error: &dyn std::fmt::Display) -> String {
    server.failure().unwrap_or_else(|| error.to_string())
}

/// The models of these names; those that do not exist are no models.
fn found(names: &[&str]) -> Vec<&'static Model> {
    names.iter().filter_map(|name| models::find(name)).collect()
}
