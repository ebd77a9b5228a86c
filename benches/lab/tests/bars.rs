//! What the bars measure is what they say: every request is answered, and one in a hundred has burned or none. Effects only: how
//! long anything took is for a run by hand.

mod recorder;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use abaca_lab::bars::{self, Scenario, Settings};
use abaca_lab::busy_loop::BusyLoop;
use abaca_lab::child::Launcher;
use abaca_lab::load::{Arrivals, Burns, Pace, Plan, run};
use abaca_lab::models::{self, Options};

use recorder::{OK, record};

#[test]
fn every_model_answers_all_and_burns_one_in_a_hundred() {
    abaca_lab::limits::raise_open_files();
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
            let outcome = one.outcome.as_ref().unwrap_or_else(|why| panic!("{what}: {why}"));
            let Some(report) = &outcome.load else {
                assert!(outcome.bytes.is_some_and(|bytes| bytes > 0.0), "{what}: {outcome:?}");
                continue;
            };
            // On a busy machine there may be no answer in the time that is measured.
            let has_cpu = one.scenario.is_pinned && report.rate > 0.0;
            assert_eq!(outcome.cpu_us.is_some(), has_cpu, "{what}: {report}");
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
            let Scenario { name, connections, .. } = one.scenario;
            assert!(table.contains(&format!("| {name} | {connections} | {} |", one.model)), "{table}");
            for bar in one.scenario.bars.iter().filter(|_| !one.scenario.is_pinned) {
                let runs = |rival: &&str| measured.iter().any(|other| other.model == *rival);
                let has_rival = bar.rivals.is_empty() || bar.rivals.iter().any(runs);
                let is_held = one.model.starts_with("abaca") && !bar.rivals.contains(&one.model) && has_rival;
                let row = format!("| {name} | {} | {bar} |", one.model);
                assert_eq!(table.contains(&row), is_held, "{row}: {table}");
            }
        }
    };
    std::thread::spawn(test).join().expect("the test's own words are above");
}

/// The key-value service keeps what it is told, and says how many keys it has.
#[test]
fn a_value_that_is_put_is_what_is_got() {
    let launcher = Launcher::new(Path::new(env!("CARGO_BIN_EXE_abaca-lab")));
    let backend = ([127, 0, 0, 1], 9).into();
    let options = Options { backend, workers: 2, pool: 1, busy_loop: BusyLoop { iterations_per_us: 1.0 } };
    for name in ["abaca-json", "tokio-json"] {
        let server = launcher.model(models::find(name).expect("it is listed"), &options).expect("it starts");
        let ask = |request: &str, body: &str| {
            let mut client = TcpStream::connect(server.address()).expect("it listens");
            let length = body.len();
            write!(
                client,
                "{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .expect("a connection");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            (head.split(' ').nth(1).expect("a status").to_owned(), body.to_owned())
        };
        let expect = |request, body, status: &str, answer: &str| {
            assert_eq!(ask(request, body), (status.to_owned(), answer.to_owned()), "{name}: {request}");
        };
        expect("GET /pear", "", "404", "");
        expect("PUT /pear", r#"{"price":3}"#, "200", r#"{"key":"pear"}"#);
        expect("GET /pear", "", "200", r#"{"key":"pear","value":{"price":3}}"#);
        expect("PUT /pear", "{", "400", "");
        expect("GET /", "", "200", r#"{"keys":1001}"#);
    }
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
