//! Two runs side by side: two machines, or two versions. What changed beyond the noise is marked.

use super::chart::number;
use super::sections::with_noise;
use super::{Section, Table};
use crate::data::{Run, Spread};

/// One figure that both runs may have.
struct Figure {
    group: &'static str,
    name: String,
    before: Option<Spread>,
    after: Option<Spread>,
    /// Whether more is better.
    more_is_better: bool,
}

impl Figure {
    /// How the second stands to the first; `None` if one is missing or they do not differ beyond the noise.
    fn change(&self) -> Option<f64> {
        let (before, after) = (self.before?, self.after?);
        (after.differs_from(before) && before.median != 0.0).then(|| after.median / before.median)
    }

    fn verdict(&self) -> String {
        match (self.before, self.after, self.change()) {
            (Some(_), Some(_), None) => "within the noise".to_owned(),
            (_, _, Some(ratio)) => {
                let is_better = (ratio > 1.0) == self.more_is_better;
                format!("{} {:.2} times", if is_better { "better:" } else { "WORSE:" }, ratio)
            }
            (None, ..) => "only in the second".to_owned(),
            (_, None, _) => "only in the first".to_owned(),
        }
    }
}

/// Sentences and sections.
pub(super) fn compare(before: &Run, after: &Run) -> (Vec<String>, Vec<Section>) {
    let figures = figures(before, after);
    let mut sentences = vec![
        format!("First: {} on {}, `{}`.", kind(before), before.machine.processor, before.command),
        format!("Second: {} on {}, `{}`.", kind(after), after.machine.processor, after.command),
    ];
    let changed: Vec<&Figure> = figures.iter().filter(|figure| figure.change().is_some()).collect();
    let both = figures.iter().filter(|figure| figure.before.is_some() && figure.after.is_some()).count();
    sentences.push(format!("{} of {both} figures changed by more than their noise.", changed.len()));
    let mut far: Vec<&&Figure> = changed.iter().collect();
    let distance = |figure: &&&Figure| figure.change().map_or(0.0, |ratio| ratio.ln().abs());
    far.sort_by(|one, other| distance(other).total_cmp(&distance(one)));
    sentences.extend(
        far.iter()
            .take(5)
            .map(|figure| format!("{}, {}: {}.", figure.group.to_lowercase(), figure.name, figure.verdict())),
    );
    let mut groups: Vec<&str> = figures.iter().map(|figure| figure.group).collect();
    groups.dedup();
    (sentences, groups.iter().map(|group| section(group, &figures)).collect())
}

fn kind(run: &Run) -> &'static str {
    if run.quick { "a quick run" } else { "a full run" }
}

fn section(group: &str, figures: &[Figure]) -> Section {
    let rows = figures.iter().filter(|figure| figure.group == group).map(|figure| {
        vec![figure.name.clone(), with_noise(figure.before), with_noise(figure.after), figure.verdict()]
    });
    Section {
        id: group.to_lowercase().replace(' ', "-"),
        title: group.to_owned(),
        method: "A figure has changed when the ranges of its repetitions do not overlap.".into(),
        command: String::new(),
        charts: Vec::new(),
        tables: vec![Table {
            caption: group.to_owned(),
            head: ["figure", "first", "second", "change"].map(str::to_owned).into(),
            rows: rows.collect(),
        }],
    }
}

fn figures(before: &Run, after: &Run) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |group, name: String, more_is_better, figure: &dyn Fn(&Run) -> Option<Spread>| {
        let (before, after) = (figure(before), figure(after));
        if before.is_some() || after.is_some() {
            figures.push(Figure { group, name, before, after, more_is_better });
        }
    };
    let models = union(before, after, |run| run.present().map(|model| model.name.clone()).collect());
    for model in &models {
        add("Peak throughput", model.clone(), true, &|run| run.peak_of(model));
        add("Sustained rate", model.clone(), true, &|run| run.sustained_by(model));
    }
    for model in &models {
        add("CPU time per request", model.clone(), false, &|run| {
            run.peak_figures(model, |peak| peak.cpu_us_per_request)
        });
    }
    for model in &models {
        let shares =
            union(before, after, |run| run.shares_of(model).iter().map(|share| format!("{share}")).collect());
        for share in shares.iter().filter_map(|share| share.parse::<f64>().ok()) {
            add("p99 latency", format!("{model} at {:.0} %", share * 100.0), false, &|run| {
                run.latency_of(model, share, |row| row.p99_us)
            });
        }
    }
    let counts =
        union(before, after, |run| run.idles.iter().map(|row| row.connections.to_string()).collect());
    for model in &models {
        for count in counts.iter().filter_map(|count| count.parse().ok()) {
            add("Memory per idle connection", format!("{model}, {count} connections"), false, &|run| {
                run.idle_of(model, count)
            });
        }
    }
    let micros = union(before, after, |run| {
        run.micros.iter().map(|row| format!("{}\t{}\t{}", row.question, row.side, row.at)).collect()
    });
    for key in &micros {
        let of = |run: &Run| {
            let rows = run.micros.iter();
            Spread::of(
                rows.filter(|row| format!("{}\t{}\t{}", row.question, row.side, row.at) == *key)
                    .map(|row| row.value),
            )
        };
        let parts: Vec<&str> = key.split('\t').collect();
        let at = parts[2].parse().map_or_else(|_| parts[2].to_owned(), number);
        add("Micro costs", format!("{} {}, {at}", parts[0], parts[1]), false, &of);
    }
    figures
}

/// What either run has, in the order of the first and then of the second.
fn union(before: &Run, after: &Run, list: impl Fn(&Run) -> Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for item in list(before).into_iter().chain(list(after)) {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all
}
