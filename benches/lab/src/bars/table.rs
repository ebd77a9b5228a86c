//! The figures as a page of Markdown: a table, and the bars.

use std::fmt::{self, Write};

use super::scenario::{Bar, Quantile, Scenario};
use super::{CONNECTIONS, Measured, Settings, WORKERS};
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
        "Medians of {} rounds of {:.1} s, models alternating, each in a process of its own; {CONNECTIONS} connections, {WORKERS} workers. \
         Mixed: an open loop, one request in a hundred of which burns 20 ms; latency of the others in ms, from when a request \
         was due. Late: how late the generator handed requests out, p99 of a round and the longest of all, in us. Command: `{command}`.\n",
        settings.rounds,
        settings.time.as_secs_f64()
    )?;
    writeln!(
        page,
        "| load | model | p50 | p99 | p99.9 | longest | requests/s | burns | late p99 | late most |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|---|---|---|")?;
    for scenario in &settings.scenarios {
        for model in names(settings, all, scenario) {
            row(page, all, scenario, model)?;
        }
    }
    writeln!(page, "\n| load | model | bar | ratio | |")?;
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
            Ok(report) if !report.is_valid() => writeln!(page, "{start}: {}", report.invalid.join("; "))?,
            Ok(report) if report.answered < report.due => {
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

/// What a model's loads have seen, by round.
fn reports<'a>(
    all: &'a [Measured],
    scenario: &'a Scenario,
    model: &'a str,
) -> impl Iterator<Item = (u32, &'a Report)> {
    all.iter()
        .filter(move |one| one.scenario.name == scenario.name && one.model == model)
        .filter_map(|one| Some((one.round, one.outcome.as_ref().ok()?)))
}

fn row(page: &mut String, all: &[Measured], scenario: &Scenario, model: &str) -> fmt::Result {
    let of =
        |figure: fn(&Report) -> f64| median(reports(all, scenario, model).map(|(_, report)| figure(report)));
    let ms = |figure| told(of(figure), 2);
    let burns: u64 = reports(all, scenario, model).map(|(_, report)| report.burns_answered).sum();
    let late = reports(all, scenario, model).map(|(_, report)| report.lag.max_ns).max();
    let (burns, late_p99, late) = if scenario.burns() {
        let late = late.map_or("-".to_owned(), |ns| format!("{:.0}", ns as f64 / 1e3));
        (burns.to_string(), told(of(|report| report.lag.p99_ns as f64 / 1e3), 0), late)
    } else {
        ("-".to_owned(), "-".to_owned(), "-".to_owned())
    };
    writeln!(
        page,
        "| {} | {model} | {} | {} | {} | {} | {} | {burns} | {late_p99} | {late} |",
        scenario.name,
        ms(|report| report.latency.p50_ns as f64 / 1e6),
        ms(|report| report.latency.p99_ns as f64 / 1e6),
        ms(|report| report.latency.p999_ns as f64 / 1e6),
        ms(|report| report.latency.max_ns as f64 / 1e6),
        told(of(|report| report.rate), 0),
    )
}

fn bar_row(page: &mut String, all: &[Measured], scenario: &Scenario, model: &str, bar: &Bar) -> fmt::Result {
    let figure = |report: &Report| match bar.quantile {
        Quantile::P99 => report.latency.p99_ns as f64,
        Quantile::P999 => report.latency.p999_ns as f64,
    };
    let rivals: Vec<_> = reports(all, scenario, bar.rival).collect();
    let ratios = reports(all, scenario, model).filter_map(|(round, report)| {
        let (_, rival) = rivals.iter().find(|(other, _)| *other == round)?;
        Some(figure(report) / figure(rival))
    });
    let name = match bar.quantile {
        Quantile::P99 => "p99",
        Quantile::P999 => "p99.9",
    };
    let Some(ratio) = median(ratios) else { return Ok(()) };
    let verdict = if ratio <= bar.most { "met" } else { "**missed**" };
    writeln!(
        page,
        "| {} | {model} | {name} at most {:.2} of {}'s | {ratio:.2} | {verdict} |",
        scenario.name, bar.most, bar.rival
    )
}

fn told(figure: Option<f64>, digits: usize) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
