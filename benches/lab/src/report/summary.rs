//! The report in a minute: sentences computed from the figures. A question that was not measured has no sentence.

use super::chart::number;
use super::sections::{REFERENCE, is_ours};
use super::standing::{self, LOAD};
use crate::data::{Run, Spread};

/// The sentences, most telling first.
pub(super) fn sentences(run: &Run) -> Vec<String> {
    [
        throughput(run),
        sustained(run),
        latency(run),
        cost(run),
        memory(run),
        stalls(run),
        standing::sentence(run),
        absent(run),
    ]
    .into_iter()
    .chain(run.questions().into_iter().map(|question| micro(run, question)))
    .flatten()
    .collect()
}

/// Models with their figures, the least first.
fn ranking(run: &Run, figure: impl Fn(&str) -> Option<Spread>) -> Vec<(&str, Spread)> {
    let mut ranking: Vec<_> =
        run.present().filter_map(|model| Some((model.name.as_str(), figure(&model.name)?))).collect();
    ranking.sort_by(|one, other| one.1.median.total_cmp(&other.1.median));
    ranking
}

/// How one figure stands to another: `1.3 times`, or `the same, within the noise`.
fn against(one: Spread, other: Spread) -> String {
    if one.differs_from(other) {
        format!("{:.2} times", one.median / other.median)
    } else {
        format!("{:.2} times, which is within the noise of", one.median / other.median)
    }
}

fn throughput(run: &Run) -> Option<String> {
    let ranking = ranking(run, |model| run.peak_of(model));
    let (best, figure) = ranking.last()?;
    let (worst, least) = ranking.first()?;
    let mut sentence = format!(
        "On this machine {best} serves the most, {} requests a second, and {worst} the least, {}.",
        number(figure.median),
        number(least.median)
    );
    if let (Some(ours), Some(reference)) = (best_of_ours(&ranking, true), run.peak_of(REFERENCE)) {
        sentence += &format!(" {} serves {} {REFERENCE}.", ours.0, against(ours.1, reference));
    }
    Some(sentence)
}

fn sustained(run: &Run) -> Option<String> {
    let ranking = ranking(run, |model| run.sustained_by(model));
    let (best, figure) = ranking.last()?;
    let mut sentence = format!(
        "Asked at a fixed rate, {best} keeps up with the most, {} requests a second.",
        number(figure.median)
    );
    if let (Some(ours), Some(reference)) = (best_of_ours(&ranking, true), run.sustained_by(REFERENCE)) {
        sentence += &format!(" {} sustains {} {REFERENCE}.", ours.0, against(ours.1, reference));
    }
    Some(sentence)
}

fn best_of_ours<'a>(ranking: &[(&'a str, Spread)], most: bool) -> Option<(&'a str, Spread)> {
    let mut ours = ranking.iter().copied().filter(|(model, _)| is_ours(model));
    if most { ours.next_back() } else { ours.next() }
}

fn latency(run: &Run) -> Option<String> {
    let nearest = |model: &str| run.share_nearest(model, LOAD);
    let ranking = ranking(run, |model| run.latency_of(model, nearest(model)?, |row| row.p99_us));
    let (best, figure) = ranking.first()?;
    let share = nearest(best)?;
    let mut sentence = format!(
        "At {:.0} % of the rate that each model sustains, {best} answers 99 of 100 requests within {} us, the shortest of all.",
        share * 100.0,
        number(figure.median)
    );
    let reference = ranking.iter().find(|(model, _)| *model == REFERENCE);
    if let (Some(ours), Some(reference)) = (best_of_ours(&ranking, false), reference) {
        sentence += &format!(
            " {} needs {} us, {} {REFERENCE}.",
            ours.0,
            number(ours.1.median),
            against(ours.1, reference.1)
        );
    }
    Some(sentence)
}

fn cost(run: &Run) -> Option<String> {
    let ranking = ranking(run, |model| run.peak_figures(model, |peak| peak.cpu_us_per_request));
    let ((cheapest, least), (dearest, most)) = (ranking.first()?, ranking.last()?);
    Some(format!(
        "A request costs between {} us of processor time ({cheapest}) and {} us ({dearest}).",
        number(least.median),
        number(most.median)
    ))
}

fn memory(run: &Run) -> Option<String> {
    let most =
        run.idles.iter().filter(|row| row.bytes_per_connection.is_some()).map(|row| row.connections).max()?;
    let ranking = ranking(run, |model| run.idle_of(model, most));
    let ((least, small), (greatest, large)) = (ranking.first()?, ranking.last()?);
    let mut sentence = format!(
        "An idle connection holds between {} bytes ({least}) and {} bytes ({greatest}), of {most} connections.",
        number(small.median),
        number(large.median)
    );
    let of = |name: &str| ranking.iter().find(|(model, _)| model.starts_with(name));
    if let (Some(ours), Some(tokio)) = (best_of_ours(&ranking, false), of("tokio")) {
        let more = ours.1.median - tokio.1.median;
        sentence += &format!(
            " {} holds {} bytes {} than {}: a stack is touched in whole pages, a future is as large as what it keeps.",
            ours.0,
            number(more.abs()),
            if more >= 0.0 { "more" } else { "less" },
            tokio.0
        );
    }
    Some(sentence)
}

fn stalls(run: &Run) -> Option<String> {
    let scenario = &run.mixed.first()?.scenario;
    let ranking = ranking(run, |model| run.mixed_of(model, scenario, |row| row.p99_us));
    let ((best, least), (worst, most)) = (ranking.first()?, ranking.last()?);
    Some(format!(
        "With {scenario}, 99 of 100 of the other requests take at most {} us with {best}, and {} us with {worst}.",
        number(least.median),
        number(most.median)
    ))
}

fn absent(run: &Run) -> Option<String> {
    let absent: Vec<&str> =
        run.models.iter().filter(|model| model.absent.is_some()).map(|model| model.name.as_str()).collect();
    (!absent.is_empty())
        .then(|| format!("Not measured here: {}; the last table says why.", absent.join(", ")))
}

/// Who answers a micro question best at the ends of its parameter.
fn micro(run: &Run, question: &str) -> Option<String> {
    let rows: Vec<_> = run.micros.iter().filter(|micro| micro.question == question).collect();
    let first = rows.first()?;
    let ends = Spread::of(rows.iter().map(|row| row.at))?;
    let ranking_at = |at: f64| {
        let mut sides: Vec<&str> =
            rows.iter().filter(|row| row.at == at).map(|row| row.side.as_str()).collect();
        sides.sort_unstable();
        sides.dedup();
        let figure = |side: &str| {
            Spread::of(rows.iter().filter(|row| row.at == at && row.side == side).map(|row| row.value))
        };
        let mut ranking: Vec<_> =
            sides.into_iter().filter_map(|side| Some((side, figure(side)?.median))).collect();
        ranking.sort_by(|one, other| one.1.total_cmp(&other.1));
        let texts: Vec<String> =
            ranking.into_iter().map(|(side, median)| format!("{side} {}", number(median))).collect();
        texts.join(", ")
    };
    Some(if first.parameter.is_empty() || ends.low == ends.high {
        format!("{question} In {}: {}.", first.unit, ranking_at(ends.low))
    } else {
        format!(
            "{question} In {}: at {} {}, {}; at {}, {}.",
            first.unit,
            first.parameter,
            number(ends.low),
            ranking_at(ends.low),
            number(ends.high),
            ranking_at(ends.high)
        )
    })
}
