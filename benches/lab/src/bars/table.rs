//! The figures as a page of Markdown: a table, and the bars.

use std::fmt::{self, Write};

use super::bar::{Bar, Figure, Outcome};
use super::scenario::Scenario;
use super::{Measured, Settings, WORKERS};
use crate::load::Report;

/// The page.
///
/// # Panics
///
/// Never: a string takes whatever is written to it.
#[must_use]
pub fn table(settings: &Settings, all: &[Measured], command: &str) -> String {
    let mut page = String::new();
    write(&mut page, settings, all, command).expect("a string takes everything");
    page
}

fn write(page: &mut String, settings: &Settings, all: &[Measured], command: &str) -> fmt::Result {
    writeln!(
        page,
        "Medians of {} rounds of {:.1} s, models alternating, each in a process of its own; {WORKERS} workers, or one on a CPU of \
         its own (pinned). Mixed: an open loop, one request in a hundred of which burns 20 ms; latency of the others in ms, from \
         when a request was due. Late: how late the generator handed requests out, p99 of a round and the longest of all, in us. \
         CPU: of a request, in us. Bytes: of an idle connection. Command: `{command}`.\n",
        settings.rounds,
        settings.time.as_secs_f64()
    )?;
    writeln!(
        page,
        "| load | connections | model | p50 | p99 | p99.9 | longest | requests/s | CPU | bytes | burns | late p99 | late most |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
    for scenario in &settings.scenarios {
        for model in names(settings, all, scenario) {
            row(page, all, scenario, model)?;
        }
    }
    writeln!(page, "\n| load | model | bar | median | |")?;
    writeln!(page, "|---|---|---|---|---|")?;
    for scenario in &settings.scenarios {
        let own = names(settings, all, scenario).into_iter().filter(|name| name.starts_with("abaca"));
        for model in own {
            for bar in scenario.bars {
                bar_row(page, all, scenario, model, bar)?;
            }
        }
    }
    for measured in all {
        let Measured { scenario, model, round, outcome } = measured;
        let start = format!("\n* {}, {model}, round {round}", scenario.name);
        match outcome {
            Err(why) => {
                // A panic: its place and its words, without the stack.
                let why: Vec<&str> = why.lines().take(2).collect();
                writeln!(page, "{start}: no figures: {}", why.join(" "))?;
            }
            Ok(Outcome { load: Some(report), .. }) if !report.is_valid() => {
                writeln!(page, "{start}: {}", report.invalid.join("; "))?;
            }
            Ok(Outcome { load: Some(report), .. }) if report.answered < report.due => {
                writeln!(page, "{start}: {} of {} were answered", report.answered, report.due)?;
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The models that were measured, in the order in which they are listed.
fn names(settings: &Settings, all: &[Measured], scenario: &Scenario) -> Vec<&'static str> {
    let is_measured =
        |name: &&str| all.iter().any(|one| one.scenario.name == scenario.name && one.model == *name);
    settings.models_of(scenario).iter().map(|model| model.name).filter(is_measured).collect()
}

/// What was measured of a model, by round.
fn outcomes<'a>(
    all: &'a [Measured],
    scenario: &'a Scenario,
    model: &'a str,
) -> impl Iterator<Item = (u32, &'a Outcome)> {
    all.iter()
        .filter(move |one| one.scenario.name == scenario.name && one.model == model)
        .filter_map(|one| Some((one.round, one.outcome.as_ref().ok()?)))
}

fn row(page: &mut String, all: &[Measured], scenario: &Scenario, model: &str) -> fmt::Result {
    let loads = || outcomes(all, scenario, model).filter_map(|(_, outcome)| outcome.load.as_ref());
    let ms = |ns: fn(&Report) -> u64| told(median(loads().map(|load| ns(load) as f64 / 1e6)), 2);
    let figure = |figure: Figure, digits| {
        told(median(outcomes(all, scenario, model).filter_map(|(_, outcome)| figure.of(outcome))), digits)
    };
    let burns: u64 = loads().map(|load| load.burns_answered).sum();
    let late = loads().map(|load| load.lag.max_ns).max();
    let (burns, late_p99, late) = if scenario.burns() {
        let late = late.map_or("-".to_owned(), |ns| format!("{:.0}", ns as f64 / 1e3));
        (burns.to_string(), told(median(loads().map(|load| load.lag.p99_ns as f64 / 1e3)), 0), late)
    } else {
        ("-".to_owned(), "-".to_owned(), "-".to_owned())
    };
    writeln!(
        page,
        "| {} | {} | {model} | {} | {} | {} | {} | {} | {} | {} | {burns} | {late_p99} | {late} |",
        scenario.name,
        scenario.connections,
        ms(|load| load.latency.p50_ns),
        ms(|load| load.latency.p99_ns),
        ms(|load| load.latency.p999_ns),
        ms(|load| load.latency.max_ns),
        figure(Figure::Rate, 0),
        figure(Figure::Cpu, 2),
        figure(Figure::Bytes, 0),
    )
}

/// None for a model that the bar compares others with.
fn bar_row(page: &mut String, all: &[Measured], scenario: &Scenario, model: &str, bar: &Bar) -> fmt::Result {
    if bar.rivals.contains(&model) {
        return Ok(());
    }
    let in_round = |round: u32| {
        let of_rival = move |rival| outcomes(all, scenario, rival).find(|(other, _)| *other == round);
        bar.rivals.iter().filter_map(move |rival| bar.figure.of(of_rival(rival)?.1))
    };
    let compared = outcomes(all, scenario, model)
        .filter_map(|(round, outcome)| bar.compared(bar.figure.of(outcome)?, in_round(round)));
    let Some(median) = median(compared) else { return Ok(()) };
    let verdict = if bar.is_met(median) { "met" } else { "**missed**" };
    let digits = if bar.rivals.is_empty() { 0 } else { 2 };
    writeln!(page, "| {} | {model} | {bar} | {median:.digits$} | {verdict} |", scenario.name)
}

fn told(figure: Option<f64>, digits: usize) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
