//! The project's bars for servers: what others see of requests that keep a CPU busy, and a closed loop of small ones.
//!
//! Every model in turn, again and again, each time in a process of its own: what disturbs the machine disturbs all of them. A
//! figure is the median of the rounds; a ratio is that of two models within a round, and the median of those.
//!
//! Server and generator share two CPUs, and neither is bound to one of them: the servers have two workers, which want both, and
//! the generator needs a few percent of one. So that it is on time although the servers keep both busy, it has a real-time
//! priority where that is allowed, and its lateness stands beside what it has measured. In the closed loop it is one more
//! process like the server, as wrk would be.
//!
//! Another model, of this project or another, takes part by its name alone: it is one of [`crate::models`], and in a
//! scenario's list.

mod scenario;
mod table;

use std::io;
use std::time::Duration;

pub use scenario::{ALL, Scenario};
pub use table::table;

use crate::busy_loop::BusyLoop;
use crate::child::{Launcher, Server};
use crate::cpus;
use crate::load::{self, Report};
use crate::models::{self, Model, Options};

/// Connections of each load.
pub const CONNECTIONS: usize = 64;

/// Workers of each server, and CPUs of all.
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

/// What one load of one model was, in one round.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which scenario.
    pub scenario: &'static Scenario,
    /// Which model.
    pub model: &'static str,
    /// Which round, from 1.
    pub round: u32,
    /// What the load has seen, or why there is nothing.
    pub outcome: Result<Report, String>,
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
        pool: CONNECTIONS,
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
) -> Result<Report, String> {
    let mut server = launcher.model(model, options).map_err(|error| error.to_string())?;
    let mut plan = scenario.plan(server.address(), round);
    plan.connections = CONNECTIONS;
    plan.duration = settings.time;
    plan.warmup = settings.time / 5;
    plan.patience = settings.patience;
    let report = load::run(&plan).map_err(|error| why(&mut server, &error))?;
    server.failure().map_or(Ok(report), Err)
}

/// Why a model gave no figures: what it said, or else the error.
fn why(server: &mut Server, error: &dyn std::fmt::Display) -> String {
    server.failure().unwrap_or_else(|| error.to_string())
}

/// The models of these names; those that do not exist are no models.
fn found(names: &[&str]) -> Vec<&'static Model> {
    names.iter().filter_map(|name| models::find(name)).collect()
}
