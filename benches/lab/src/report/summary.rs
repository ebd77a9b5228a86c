//! The report in a minute: sentences computed from the figures. A question that was not measured has no sentence.

use super::chart::number;
use super::comparison::{self, COMPARED_LOAD};
use super::micro::fiber_to_best;
use super::sections::{REFERENCE, is_ours};
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
        comparison::sentence(run),
        small_things(run),
        failed(run),
        absent(run),
    ]
    .into_iter()
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
    let nearest = |model: &str| run.share_nearest(model, COMPARED_LOAD);
    let ranking = ranking(run, |model| run.latency_of(model, nearest(model)?, |row| row.p99_us));
    let (best, figure) = ranking.first()?;
    let share = nearest(best)?;
    let mut sentence = format!(
        "At {:.0} % of the rate that each model sustains, {best} answers 99 of 100 requests within {}, the shortest of all.",
        share * 100.0,
        time(figure.median)
    );
    let reference = ranking.iter().find(|(model, _)| *model == REFERENCE);
    if let (Some(ours), Some(reference)) = (best_of_ours(&ranking, false), reference) {
        sentence += &format!(
            " {} needs {}, {} {REFERENCE}.",
            ours.0,
            time(ours.1.median),
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
        "With {scenario}, 99 of 100 of the other requests take at most {} with {best}, and {} with {worst}.",
        time(least.median),
        time(most.median)
    ))
}

/// The micro costs together; each has its figures in its section.
fn small_things(run: &Run) -> Option<String> {
    let questions = run.questions();
    let compared: Vec<(&str, f64, bool)> = questions
        .into_iter()
        .filter_map(|question| {
            let (fiber, best) = fiber_to_best(run, question)?;
            Some((question, fiber.median / best.median, fiber.differs_from(best)))
        })
        .collect();
    let dearer: Vec<String> = compared
        .iter()
        .filter(|(_, ratio, differs)| *differs && *ratio > 1.0)
        .map(|(question, ratio, _)| format!("\u{201c}{question}\u{201d} {ratio:.2} times"))
        .collect();
    let cheaper = Spread::of(
        compared.iter().filter(|(_, ratio, differs)| *differs && *ratio < 1.0).map(|(_, ratio, _)| *ratio),
    );
    let mut sentence = format!(
        "Of {} small things, at the deepest and largest that was tried, a fiber does {} for less than the best future or task",
        compared.len(),
        compared.iter().filter(|(_, ratio, differs)| *differs && *ratio < 1.0).count()
    );
    if let Some(cheaper) = cheaper {
        sentence += &format!(" ({:.2} to {:.2} times its cost)", cheaper.low, cheaper.high);
    }
    sentence += &match dearer.as_slice() {
        [] => ", and none for more.".to_owned(),
        some => format!(", and {} for more: {}.", some.len(), some.join(", ")),
    };
    (!compared.is_empty()).then_some(sentence)
}

/// How many measurements failed, and whose; and how many loads say nothing, since the generator was late.
fn failed(run: &Run) -> Option<String> {
    let peaks = run.peaks.iter().map(|row| (&row.model, &row.note));
    let sustained = run.sustained.iter().map(|row| (&row.model, &row.note));
    let idles = run.idles.iter().map(|row| (&row.model, &row.note));
    let mixed = run.mixed.iter().map(|row| (&row.model, &row.note));
    let all = peaks.chain(sustained).chain(idles).chain(mixed);
    let mut models: Vec<&str> =
        all.filter(|(_, note)| note.is_some()).map(|(model, _)| model.as_str()).collect();
    let failed = models.len();
    models.sort_unstable();
    models.dedup();
    let left_out = run.latencies.iter().filter(|row| row.note.is_some() || !row.valid).count();
    let mut sentences = Vec::new();
    if failed > 0 {
        let models = models.join(", ");
        let measurements =
            if failed == 1 { "One measurement".to_owned() } else { format!("{failed} measurements") };
        sentences.push(format!("{measurements} gave no figure or a doubtful one: of {models}."));
    }
    if left_out > 0 {
        let all = run.latencies.len();
        sentences.push(format!(
            "{left_out} of {all} loads at a fixed rate failed, or say nothing since the generator was late."
        ));
    }
    (!sentences.is_empty()).then(|| sentences.join(" ") + " The tables say why.")
}

/// A time in microseconds as a person says it.
fn time(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", number(us / 1e6)),
        us if us >= 1e4 => format!("{} ms", number(us / 1e3)),
        us => format!("{} us", number(us)),
    }
}

fn absent(run: &Run) -> Option<String> {
    let absent: Vec<&str> =
        run.models.iter().filter(|model| model.absent.is_some()).map(|model| model.name.as_str()).collect();
    (!absent.is_empty())
        .then(|| format!("Not measured here: {}; the last table says why.", absent.join(", ")))
}
