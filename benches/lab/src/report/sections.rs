//! The questions of the report, each with the charts and tables that answer it.

use super::chart::{self, Axis, Bar, Series, number};
use super::{Section, Table, again, comparison, micro};
use crate::data::{Latency, Mixed, Run, Spread};

/// The model that stands in every chart: what the kernel lets a server do at best.
pub(super) const REFERENCE: &str = "reactors";

/// Every section, in the order of reading.
pub(super) fn all(run: &Run) -> Vec<Section> {
    let mut sections = vec![peaks(run), sustained(run), latencies(run), costs(run), idles(run), mixed(run)];
    sections.extend(comparison::section(run));
    sections.extend(run.questions().into_iter().map(|question| micro::section(run, question)));
    sections.push(models(run));
    sections
}

/// Whether the model is the project's own.
pub(super) fn is_ours(model: &str) -> bool {
    model.starts_with("abaca")
}

pub(super) fn bar(name: &str, figure: Option<Spread>) -> Bar {
    Bar { name: name.to_owned(), figure, is_ours: is_ours(name) }
}

/// Best first; those without a figure last.
pub(super) fn ranked(mut bars: Vec<Bar>, most_first: bool) -> Vec<Bar> {
    bars.sort_by(|one, other| match (one.figure, other.figure) {
        (Some(one), Some(other)) if most_first => other.median.total_cmp(&one.median),
        (Some(one), Some(other)) => one.median.total_cmp(&other.median),
        (one, other) => other.is_some().cmp(&one.is_some()),
    });
    bars
}

pub(super) fn chart(heading: &str, svg: Option<String>) -> Vec<(String, String)> {
    svg.map(|svg| (heading.to_owned(), svg)).into_iter().collect()
}

/// A median with half of the distance between the ends, in percent.
pub(super) fn with_noise(spread: Option<Spread>) -> String {
    let Some(spread) = spread else { return "-".to_owned() };
    let noise = (spread.high - spread.low) / 2.0 / spread.median.abs() * 100.0;
    // A single repetition says nothing of the noise.
    if noise.is_finite() && spread.high > spread.low {
        format!("{} ±{noise:.0} %", number(spread.median))
    } else {
        number(spread.median)
    }
}

/// The last of the notes, and how many there are.
fn tally<'a>(notes: impl Iterator<Item = &'a str>) -> String {
    let notes: Vec<&str> = notes.collect();
    match notes.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [.., last] => format!("{} times; the last: {last}", notes.len()),
    }
}

/// As the command line takes it: with commas, or `none`.
fn listed(numbers: impl IntoIterator<Item = u64>) -> String {
    let numbers: Vec<String> = numbers.into_iter().map(|number| number.to_string()).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") }
}

/// The shares of the sustained rates that were offered, in percent.
fn shares(run: &Run) -> Vec<u64> {
    let mut percents: Vec<u64> = run.latencies.iter().map(|row| (row.share * 100.0).round() as u64).collect();
    percents.sort_unstable();
    percents.dedup();
    percents
}

fn peaks(run: &Run) -> Section {
    let bars = run.present().map(|model| bar(&model.name, run.peak_of(&model.name))).collect();
    let axis = Axis { label: "requests per second, closed loop", is_logarithmic: false };
    let rows = run.models.iter().map(|model| {
        let mut notes: Vec<String> = model.absent.iter().map(|why| format!("absent: {why}")).collect();
        let failed = run.peaks.iter().filter(|peak| peak.model == model.name);
        notes.extend(failed.filter_map(|peak| Some(format!("{}: {}", peak.repetition, peak.note.as_ref()?))));
        vec![model.name.clone(), model.family.clone(), with_noise(run.peak_of(&model.name)), notes.join("; ")]
    });
    Section {
        id: "peak".into(),
        title: "How much can each model serve?".into(),
        method: "Every connection sends its next request when it has the last answer. The generator shares the machine \
                 with the model, so the figures say how models compare, not what the machine could serve alone. Java \
                 compiles its code as it runs, so it is loaded for up to two seconds before each load that is \
                 measured. Bars are medians, grey lines reach from the least to the greatest repetition."
            .into(),
        command: again(run, "--rates none --idle none --no-micro"),
        charts: chart("Peak throughput", chart::bars(&ranked(bars, true), axis)),
        tables: vec![Table {
            caption: "Peak throughput, in the order of the list; a note begins with its repetition".into(),
            head: ["model", "family", "requests /s", "note"].map(str::to_owned).into(),
            rows: rows.collect(),
        }],
    }
}

fn sustained(run: &Run) -> Section {
    let bars = run.present().map(|model| bar(&model.name, run.sustained_by(&model.name))).collect();
    let axis = Axis { label: "requests per second, open loop", is_logarithmic: false };
    let rows = run.present().map(|model| {
        let (sustained, peak) = (run.sustained_by(&model.name), run.peak_of(&model.name));
        let share = sustained.zip(peak).map(|(sustained, peak)| sustained.median / peak.median * 100.0);
        let share = share.map_or_else(|| "-".to_owned(), |share| format!("{share:.0} %"));
        let notes = run.sustained.iter().filter(|row| row.model == model.name);
        let note = tally(notes.filter_map(|row| row.note.as_deref()));
        vec![model.name.clone(), with_noise(sustained), share, note]
    });
    Section {
        id: "sustained".into(),
        title: "Which rate does each model keep up with?".into(),
        method: "Requests come at a fixed rate, evenly spaced, whether or not the answers do; the highest rate at which they \
                 do not pile up is searched for. It is below the peak of the closed loop, where everybody waits for \
                 everybody and work comes in batches: here each request wakes somebody, and the generator's own timer \
                 takes its part of the machine."
            .into(),
        command: again(run, "--rates none --idle none --no-micro"),
        charts: chart("Sustained rate", chart::bars(&ranked(bars, true), axis)),
        tables: vec![Table {
            caption: "Sustained rate".into(),
            head: ["model", "requests /s", "of the closed loop's peak", "note"].map(str::to_owned).into(),
            rows: rows.collect(),
        }],
    }
}

fn latencies(run: &Run) -> Section {
    let mut families: Vec<&str> = Vec::new();
    for model in run.present().filter(|model| !run.shares_of(&model.name).is_empty()) {
        if !families.contains(&model.family.as_str()) {
            families.push(&model.family);
        }
    }
    let charts = families.iter().flat_map(|family| {
        // First, so that it looks the same in every chart.
        let reference = run.present().filter(|model| model.name == REFERENCE);
        let others = run.present().filter(|model| model.family == **family && model.name != REFERENCE);
        let members = reference.chain(others);
        let series: Vec<Series> = members.map(|model| curve(run, &model.name)).collect();
        let without = series.iter().filter(|series| series.points.is_empty());
        let without: Vec<&str> = without.map(|series| series.name.as_str()).collect();
        let without = if without.is_empty() {
            String::new()
        } else {
            format!(" (no valid load of {})", without.join(", "))
        };
        let x = Axis { label: "offered rate, requests per second", is_logarithmic: false };
        let y = Axis { label: "p99 latency, us", is_logarithmic: true };
        chart(&format!("{family}, beside {REFERENCE}{without}"), chart::lines(&series, x, y))
    });
    Section {
        id: "latency".into(),
        title: "How long does a request take as the load grows?".into(),
        method: "Requests are sent when they are due, at a fixed rate, whether or not the model keeps up, and their latency \
                 counts from when they were due: waiting in a queue is part of it (no coordinated omission). Runs in \
                 which the generator itself was late are left out of the figures; the table says so."
            .into(),
        command: again(run, &format!("--rates {} --idle none --no-micro", listed(shares(run)))),
        charts: charts.collect(),
        tables: vec![latency_table(run)],
    }
}

fn curve(run: &Run, model: &str) -> Series {
    let point = |share: &f64| {
        let offered = run.latency_of(model, *share, |row| row.offered)?;
        Some((offered.median, run.latency_of(model, *share, |row| row.p99_us)?))
    };
    Series { name: model.to_owned(), points: run.shares_of(model).iter().filter_map(point).collect() }
}

fn latency_table(run: &Run) -> Table {
    let figures: [fn(&Latency) -> f64; 6] = [
        |row| row.offered,
        |row| row.achieved,
        |row| row.p50_us,
        |row| row.p99_us,
        |row| row.p999_us,
        |row| row.max_us,
    ];
    let rows = run.present().flat_map(|model| {
        run.shares_of(&model.name).into_iter().map(|share| {
            let mut row = vec![model.name.clone(), format!("{:.0} %", share * 100.0)];
            row.extend(figures.map(|figure| with_noise(run.latency_of(&model.name, share, figure))));
            let rows = run.latencies.iter().filter(|row| row.model == model.name && row.share == share);
            row.push(tally(rows.filter_map(|row| row.note.as_deref())));
            row
        })
    });
    Table {
        caption: "Latency in microseconds at shares of the rate that each model sustains".into(),
        head: ["model", "share", "offered /s", "answered /s", "p50", "p99", "p99.9", "max", "left out"]
            .map(str::to_owned)
            .into(),
        rows: rows.collect(),
    }
}

fn costs(run: &Run) -> Section {
    let bars = run
        .present()
        .map(|model| bar(&model.name, run.peak_figures(&model.name, |peak| peak.cpu_us_per_request)))
        .collect();
    let axis = Axis { label: "CPU time per request at peak, us", is_logarithmic: false };
    let rows = run.present().map(|model| {
        let figure =
            |figure: fn(&crate::data::Peak) -> Option<f64>| with_noise(run.peak_figures(&model.name, figure));
        vec![
            model.name.clone(),
            figure(|peak| peak.cpu_us_per_request),
            figure(|peak| peak.switches_per_request),
            figure(|peak| peak.syscalls_per_request),
        ]
    });
    Section {
        id: "cost".into(),
        title: "What does a request cost?".into(),
        method: "Processor time of the model's processes, the kernel's work for them included, per answered request; \
                 switches are the kernel's between threads, not those between fibers. System calls are counted in runs \
                 of their own, which are not timed."
            .into(),
        command: again(run, "--rates none --idle none --no-micro"),
        charts: chart("CPU time per request", chart::bars(&ranked(bars, false), axis)),
        tables: vec![Table {
            caption: "At peak, per request".into(),
            head: ["model", "CPU us", "thread switches", "system calls"].map(str::to_owned).into(),
            rows: rows.collect(),
        }],
    }
}

fn idles(run: &Run) -> Section {
    let mut counts: Vec<u64> = run.idles.iter().map(|row| row.connections).collect();
    counts.sort_unstable();
    counts.dedup();
    let axis = Axis { label: "bytes per connection, resident memory and page tables", is_logarithmic: true };
    let charts = counts.iter().flat_map(|count| {
        let bars = run.present().map(|model| bar(&model.name, run.idle_of(&model.name, *count))).collect();
        chart(&format!("{count} idle connections"), chart::bars(&ranked(bars, false), axis))
    });
    let rows = run.idles.iter().map(|row| {
        vec![
            row.model.clone(),
            row.connections.to_string(),
            row.held.to_string(),
            row.bytes_per_connection.map_or_else(|| "-".to_owned(), number),
            row.threads.to_string(),
            row.alone_p99_us.map_or_else(|| "-".to_owned(), number),
            row.active_p99_us.map_or_else(|| "-".to_owned(), number),
            row.note.clone().unwrap_or_default(),
        ]
    });
    Section {
        id: "idle".into(),
        title: "What does an idle connection cost?".into(),
        method: "Growth of the model's resident memory and page tables, divided by the connections; each has been served once \
                 before it falls silent. The kernel's own buffers for a socket are the same for all models and not \
                 counted. What the idle ones cost the others is the difference between what a few active connections see \
                 without them and with them."
            .into(),
        command: again(run, &format!("--rates none --idle {} --no-micro", listed(counts.iter().copied()))),
        charts: charts.collect(),
        tables: vec![Table {
            caption: "Each measurement".into(),
            head: ["model", "asked for", "held", "bytes each", "threads", "active p99 us without", "with them", "note"]
                .map(str::to_owned)
                .into(),
            rows: rows.collect(),
        }],
    }
}

fn mixed(run: &Run) -> Section {
    let mut scenarios: Vec<&str> = Vec::new();
    for row in &run.mixed {
        if !scenarios.contains(&row.scenario.as_str()) {
            scenarios.push(&row.scenario);
        }
    }
    let axis = Axis { label: "p99 latency of the others, us", is_logarithmic: true };
    let charts = scenarios.iter().flat_map(|scenario| {
        let figure = |model: &str| run.mixed_of(model, scenario, |row| row.p99_us);
        let bars = run.present().map(|model| bar(&model.name, figure(&model.name))).collect();
        chart(scenario, chart::bars(&ranked(bars, false), axis))
    });
    let figures: [fn(&Mixed) -> f64; 5] =
        [|row| row.p50_us, |row| row.p99_us, |row| row.p999_us, |row| row.max_us, |row| row.send_lag_p99_us];
    let rows = run.present().flat_map(|model| {
        scenarios.iter().map(|scenario| {
            let mut row = vec![model.name.clone(), (*scenario).to_owned()];
            row.extend(figures.map(|figure| with_noise(run.mixed_of(&model.name, scenario, figure))));
            let rows = run.mixed.iter().filter(|row| row.model == model.name && row.scenario == *scenario);
            row.push(tally(rows.filter_map(|row| row.note.as_deref())));
            row
        })
    });
    Section {
        id: "mixed".into(),
        title: "What do the others see when some clients misbehave?".into(),
        method: "The load is the same for all models, or a third of what a model sustains. The figures are the latencies of the ordinary requests. \
                 Where the trouble takes the CPU, the generator is late as well: the table says how much."
            .into(),
        command: again(run, "--rates none --idle none --no-micro"),
        charts: charts.collect(),
        tables: vec![Table {
            caption: "Latency of the others in microseconds".into(),
            head: ["model", "scenario", "p50", "p99", "p99.9", "max", "send lag p99", "note"].map(str::to_owned).into(),
            rows: rows.collect(),
        }],
    }
}

fn models(run: &Run) -> Section {
    let rows = run.models.iter().map(|model| {
        let state =
            model.absent.as_ref().map_or_else(|| "measured".to_owned(), |why| format!("absent: {why}"));
        vec![model.name.clone(), model.family.clone(), state, model.description.clone()]
    });
    Section {
        id: "models".into(),
        title: "Who was measured?".into(),
        method: "`abaca-lab models` lists them; the source of each is one file of `benches/lab/src/models`."
            .into(),
        command: "cargo run --release --manifest-path benches/lab/Cargo.toml -- models".into(),
        charts: Vec::new(),
        tables: vec![Table {
            caption: "Models".into(),
            head: ["name", "family", "state", "what it is"].map(str::to_owned).into(),
            rows: rows.collect(),
        }],
    }
}
