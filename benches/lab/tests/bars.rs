//! What the bars measure is what they say: every request is answered, and one in a hundred has burned. Effects only: how
//! long anything took is for a run by hand.

mod recorder;

use std::path::Path;
use std::time::Duration;

use abaca_lab::bars::{self, Settings};
use abaca_lab::child::Launcher;
use abaca_lab::load::{Arrivals, Burns, Pace, Plan, run};

use recorder::{OK, record};

#[test]
fn every_model_answers_all_and_burns_one_in_a_hundred() {
    // In a thread of its own, which takes along to which CPUs it is bound.
    let test = || {
        let settings = Settings {
            scenarios: bars::ALL.iter().collect(),
            models: None,
            rounds: 1,
            time: Duration::from_millis(300),
            patience: Duration::from_secs(60),
        };
        let launcher = Launcher::new(Path::new(env!("CARGO_BIN_EXE_abaca-lab")));
        let measured = bars::run(&launcher, &settings, &mut |_| {}).expect("it starts");
        for one in &measured {
            let what = format!("{}, {}", one.scenario.name, one.model);
            let report = one.outcome.as_ref().unwrap_or_else(|why| panic!("{what}: {why}"));
            assert_eq!((report.answered, report.errors.total()), (report.due, 0), "{what}: {report}");
            assert_eq!(report.latency.count, report.due - report.burns_due, "{what}");
            assert_eq!(report.burns_answered, report.burns_due, "{what}");
            if one.scenario.burns() {
                // One in each hundred, of which the first and the last may be cut.
                let hundreds = report.due / 100;
                assert!((hundreds.saturating_sub(1)..=hundreds + 2).contains(&report.burns_due), "{what}");
            } else {
                assert_eq!(report.burns_due, 0, "{what}");
            }
        }
        for model in ["abaca", "threads", "tokio"] {
            assert!(measured.iter().any(|one| one.model == model), "{model} can run everywhere");
        }
        let table = bars::table(&settings, &measured, "");
        for one in &measured {
            assert!(table.contains(&format!("| {} | {} |", one.scenario.name, one.model)), "{table}");
        }
    };
    std::thread::spawn(test).join().expect("the test's own words are above");
}

#[test]
fn the_burns_are_asked_for_by_their_path_and_no_others_are() {
    for arrivals in [Arrivals::Even, Arrivals::Random { seed: 3 }] {
        let (server, seen) = record(OK, usize::MAX);
        let target = format!("http://{server}/").parse().expect("a target");
        let plan = Plan {
            arrivals,
            burns: Some(Burns { one_in: 10, path: "/busy".to_owned() }),
            patience: Duration::from_secs(60),
            ..Plan::new(target, Pace::Open { rate: 1000.0 }, 8, Duration::from_millis(400))
        };
        let report = run(&plan).expect("the server listens");
        let burns = seen.paths().iter().filter(|path| *path == "/busy").count() as u64;
        assert_eq!((burns, seen.arrivals().len() as u64), (report.burns_due, report.due), "{arrivals:?}");
        assert_eq!(report.burns_answered, report.burns_due);
        assert!(report.burns_due.abs_diff(report.due / 10) <= 1, "{report}");
    }
}
