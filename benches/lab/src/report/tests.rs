//! The report of a run that was made up: everything that was measured is on the page, and nothing else.

use super::{changes, comparison, html};
use crate::data::{FORMAT, Idle, Latency, Micro, Mixed, ModelRow, Peak, Run, Sustained};

const MODELS: [(&str, &str); 4] =
    [("reactors", "event loops"), ("abaca", "stackful"), ("tokio", "stackless"), ("threads", "threads")];

/// A run in which each model is slower than the one before it.
fn made_up(slower: f64) -> Run {
    let mut run = Run { format: FORMAT, complete: true, command: "abaca-lab".into(), ..Run::default() };
    for (index, (name, family)) in MODELS.into_iter().enumerate() {
        let factor = (1.0 + index as f64) * slower;
        let model = name.to_owned();
        run.models.push(ModelRow { name: model.clone(), family: family.into(), ..ModelRow::default() });
        for repetition in 1..=5 {
            let noise = 1.0 + f64::from(repetition) / 100.0;
            run.peaks.push(Peak {
                model: model.clone(),
                repetition,
                requests_per_second: 100_000.0 / factor * noise,
                cpu_us_per_request: Some(10.0 * factor * noise),
                syscalls_per_request: (repetition == 1).then_some(2.0),
                ..Peak::default()
            });
            run.sustained.push(Sustained {
                model: model.clone(),
                repetition,
                requests_per_second: 50_000.0 / factor * noise,
                note: None,
            });
            for share in [0.1, 0.7, 1.2] {
                run.latencies.push(Latency {
                    model: model.clone(),
                    repetition,
                    share,
                    offered: 100_000.0 * share / factor,
                    achieved: 100_000.0 * share / factor,
                    p99_us: 100.0 * factor * noise * share.exp(),
                    valid: true,
                    ..Latency::default()
                });
            }
            run.idles.push(Idle {
                model: model.clone(),
                repetition,
                connections: 1000,
                held: 1000,
                bytes_per_connection: Some(1000.0 * factor * noise),
                ..Idle::default()
            });
            run.mixed.push(Mixed {
                model: model.clone(),
                repetition,
                scenario: "1 % of requests burning 20 ms".into(),
                p99_us: 500.0 * factor * noise,
                ..Mixed::default()
            });
        }
    }
    for (side, factor) in [("fiber", 1.0), ("future", 3.0)] {
        for at in [1.0, 64.0] {
            run.micros.push(Micro {
                question: "What does a suspension cost?".into(),
                side: side.into(),
                parameter: "call depth".into(),
                at,
                repetition: 1,
                value: factor * at * slower,
                unit: "ns".into(),
            });
        }
    }
    run.models.push(ModelRow {
        name: "gevent".into(),
        absent: Some("no python".into()),
        ..ModelRow::default()
    });
    run
}

#[test]
fn every_question_has_its_chart_and_its_table() {
    let page = html(&made_up(1.0));
    assert_eq!(
        page.matches("<figure").count(),
        14,
        "peak, sustained, four families, cost, idle, mixed, four of the comparison, micro"
    );
    assert_eq!(page.matches("<svg").count(), 14);
    for id in
        ["peak", "sustained", "latency", "cost", "idle", "mixed", "what-does-a-suspension-cost-", "models"]
    {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
        assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
    }
    for (name, _) in MODELS {
        assert!(page.matches(name).count() > 8, "{name}");
    }
    for outside in ["http://", "https://", "<script", "<link", "@import"] {
        let svg_names = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
        let allowed = if outside == "http://" { svg_names } else { 0 };
        assert_eq!(page.matches(outside).count(), allowed, "{outside}");
    }
}

#[test]
fn the_summary_follows_from_the_figures() {
    let page = html(&made_up(1.0));
    for sentence in [
        "On this machine reactors serves the most, 103 k requests a second, and threads the least, 25.8 k.",
        "abaca serves 0.50 times reactors.",
        "Asked at a fixed rate, reactors keeps up with the most, 51.5 k requests a second.",
        "abaca sustains 0.50 times reactors.",
        "At 70 % of the rate that each model sustains",
        "Not measured here: gevent",
        "Of 1 small things, at the deepest and largest that was tried, a fiber does 1 for less than the best future or task \
         (0.33 to 0.33 times its cost), and none for more.",
        "In ns, call depth 1: fiber 1, future 3; 64: fiber 64, future 192.",
    ] {
        let sentence = sentence.replace("&#x27;", "'");
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn what_failed_and_what_is_absent_are_rows_that_say_so() {
    let mut run = made_up(1.0);
    run.peaks.push(Peak {
        model: "threads".into(),
        repetition: 6,
        note: Some("signal: 9".into()),
        ..Peak::default()
    });
    for (repetition, note) in [(6, "the generator was late"), (7, "the server is gone")] {
        let note = Some(note.to_owned());
        run.latencies.push(Latency {
            model: "tokio".into(),
            repetition,
            share: 0.7,
            note,
            ..Latency::default()
        });
    }
    let page = html(&run);
    let row = |cells: &[&str]| cells.iter().map(|cell| format!("<td>{cell}</td>")).collect::<String>();
    assert!(page.contains(&row(&["25.8 k ±2 %", "6: signal: 9"])), "a model with figures and a failure");
    assert!(page.contains(&row(&["gevent", "", "-", "absent: no python"])), "a model that is not here");
    assert!(page.contains("2 times; the last: the server is gone"), "in the row of its latencies");
    assert!(page.contains("One measurement gave no figure or a doubtful one: of threads."));
    assert!(page.contains("2 of 62 loads at a fixed rate failed, or say nothing"));
}

#[test]
fn every_question_has_the_command_that_asks_it_again() {
    let mut run = made_up(1.0);
    run.command =
        "abaca-lab -- --rates 10,70,120 --models=tokio --idle 1000 --duration 2s --out x --no-micro".into();
    let page = html(&run).replace("<span>", "").replace("</span>", "");
    for command in [
        "abaca-lab -- --models=tokio --duration 2s --rates 10,70,120 --idle none --no-micro",
        "abaca-lab -- --models=tokio --duration 2s --rates none --idle 1000 --no-micro",
        "abaca-lab -- --models=tokio --duration 2s --rates none --idle none --no-micro",
        "abaca-lab -- --duration 2s --models none",
    ] {
        assert!(page.contains(&format!("<code>{command}</code>")), "{command}");
    }
    assert_eq!(page.matches("To measure this again").count(), 9);
}

#[test]
fn bars_are_judged_by_ratios_within_a_repetition() {
    let mut run = made_up(1.0);
    let page = html(&run);
    assert!(
        page.contains("abaca misses 3 of the 8 bars"),
        "half of the reactors' throughput, twice their p99 and their processor time"
    );
    // A minute in which the machine is ten times slower changes no ratio, and the medians of both.
    for row in run.peaks.iter_mut().filter(|row| row.repetition > 2) {
        row.requests_per_second /= 10.0;
    }
    let ratios = |run: &Run| comparison::section(run).unwrap().tables.remove(0).rows;
    assert_eq!(ratios(&run), ratios(&made_up(1.0)));
    // One that is as fast as the reference misses nothing.
    for row in &mut run.peaks {
        let is_ours = row.model == "abaca";
        row.requests_per_second = if is_ours { 1_000_000.0 } else { 100_000.0 };
        row.cpu_us_per_request = Some(if is_ours { 1.0 } else { 10.0 });
    }
    for row in run.latencies.iter_mut().filter(|row| row.model == "abaca") {
        row.p99_us = 1.0;
    }
    assert!(html(&run).contains("abaca meets all 8 bars"));
    // What is counted once in a run is judged, too.
    for row in run.peaks.iter_mut().filter(|row| row.model == "abaca") {
        row.syscalls_per_request = row.syscalls_per_request.map(|_| 2.5);
    }
    assert!(html(&run).contains("set for itself: system calls per request against reactors (1.25)."));
}

#[test]
fn a_run_without_measurements_is_a_page_that_says_so() {
    let page = html(&Run { format: FORMAT, ..Run::default() });
    assert!(page.contains("interrupted"));
    assert!(page.matches("Not measured in this run.").count() >= 5);
    assert!(!page.contains("<svg"));
}

#[test]
fn a_comparison_marks_what_changed_beyond_the_noise() {
    let (same, _) = changes::compare(&made_up(1.0), &made_up(1.0));
    assert!(same[2].starts_with("0 of "), "{same:?}");
    let (sentences, sections) = changes::compare(&made_up(1.0), &made_up(2.0));
    assert!(!sentences[2].starts_with("0 of "), "{sentences:?}");
    let peak = sections.iter().find(|section| section.title == "Peak throughput").unwrap();
    assert!(peak.tables[0].rows.iter().all(|row| row[3] == "WORSE: 0.50 times"), "{peak:?}");
    let (_, back) = changes::compare(&made_up(2.0), &made_up(1.0));
    let latency = back.iter().find(|section| section.title == "p99 latency").unwrap();
    assert!(latency.tables[0].rows.iter().all(|row| row[3] == "better: 0.50 times"), "{latency:?}");
}
