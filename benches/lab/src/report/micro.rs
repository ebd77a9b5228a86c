//! The sections of the micro costs: a question, who answers it how at which place, and the answers in a sentence.

use super::chart::{self, Axis, Series, number};
use super::sections::{bar, chart, ranked, with_noise};
use super::{Section, Table, again};
use crate::data::{Micro, Run, Spread};

pub(super) fn section(run: &Run, question: &str) -> Section {
    let rows: Vec<_> = run.micros.iter().filter(|micro| micro.question == question).collect();
    let first = rows.first().expect("a question has figures");
    let mut sides: Vec<&str> = Vec::new();
    let mut places: Vec<f64> = Vec::new();
    for row in &rows {
        if !sides.contains(&row.side.as_str()) {
            sides.push(&row.side);
        }
        if !places.contains(&row.at) {
            places.push(row.at);
        }
    }
    places.sort_by(f64::total_cmp);
    let figure = |side: &str, at: f64| {
        Spread::of(rows.iter().filter(|row| row.side == side && row.at == at).map(|row| row.value))
    };
    let charts = if first.parameter.is_empty() {
        let bars = sides.iter().map(|side| bar(side, figure(side, first.at))).collect();
        chart::bars(&ranked(bars, false), Axis { label: &first.unit, is_logarithmic: false })
    } else {
        let curve =
            |side: &&str| places.iter().filter_map(|at| Some((*at, figure(side, *at)?))).collect::<Vec<_>>();
        let series: Vec<Series> =
            sides.iter().map(|side| Series { name: (*side).to_owned(), points: curve(side) }).collect();
        let wide = places.last().copied().unwrap_or(1.0) / places[0].max(1.0) > 20.0;
        let x = Axis { label: &first.parameter, is_logarithmic: wide && places[0] > 0.0 };
        chart::lines(&series, x, Axis { label: &first.unit, is_logarithmic: true })
    };
    let table = places.iter().map(|at| {
        let mut row = vec![if first.parameter.is_empty() { String::new() } else { number(*at) }];
        row.extend(sides.iter().map(|side| with_noise(figure(side, *at))));
        row
    });
    let mut head = vec![first.parameter.clone()];
    head.extend(sides.iter().map(|side| (*side).to_owned()));
    Section {
        id: question.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
        title: question.to_owned(),
        method: format!(
            "{} Each side does the same work in the same process, taking turns.",
            answer(run, question)
        ),
        command: again(run, "--models none"),
        charts: chart(&first.unit, charts),
        tables: vec![Table { caption: first.unit.clone(), head, rows: table.collect() }],
    }
}

/// The figures of a question by who answers, at a place, the least first.
fn ranking<'a>(rows: &[&'a Micro], at: f64) -> Vec<(&'a str, Spread)> {
    let mut sides: Vec<&str> = rows.iter().filter(|row| row.at == at).map(|row| row.side.as_str()).collect();
    sides.sort_unstable();
    sides.dedup();
    let figure = |side: &str| {
        Spread::of(rows.iter().filter(|row| row.at == at && row.side == side).map(|row| row.value))
    };
    let mut ranking: Vec<_> = sides.into_iter().filter_map(|side| Some((side, figure(side)?))).collect();
    ranking.sort_by(|one, other| one.1.median.total_cmp(&other.1.median));
    ranking
}

/// Who answers a question how, at the ends of its parameter.
fn answer(run: &Run, question: &str) -> String {
    let rows: Vec<_> = run.micros.iter().filter(|micro| micro.question == question).collect();
    let (Some(first), Some(ends)) = (rows.first(), Spread::of(rows.iter().map(|row| row.at))) else {
        return String::new();
    };
    let at = |at: f64| {
        let texts: Vec<String> = ranking(&rows, at)
            .into_iter()
            .map(|(side, figure)| format!("{side} {}", number(figure.median)))
            .collect();
        texts.join(", ")
    };
    if first.parameter.is_empty() || ends.low == ends.high {
        format!("In {}: {}.", first.unit, at(ends.low))
    } else {
        let (low, high) = (number(ends.low), number(ends.high));
        let (unit, parameter) = (&first.unit, &first.parameter);
        format!("In {unit}, {parameter} {low}: {}; {high}: {}.", at(ends.low), at(ends.high))
    }
}

/// How a fiber's figure stands to the best of the others, at the greatest value of the question's parameter.
pub(super) fn fiber_to_best(run: &Run, question: &str) -> Option<(Spread, Spread)> {
    let rows: Vec<_> = run.micros.iter().filter(|micro| micro.question == question).collect();
    let most = rows.iter().map(|row| row.at).reduce(f64::max)?;
    let ranking = ranking(&rows, most);
    let fiber = ranking.iter().find(|(side, _)| *side == "fiber")?.1;
    let best = ranking.iter().find(|(side, _)| *side != "fiber")?.1;
    Some((fiber, best))
}
