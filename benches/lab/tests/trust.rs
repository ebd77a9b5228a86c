//! Can the load generator be trusted? Its arrivals are held against its plan by a server that records them, and its
//! closed loop against wrk's. Both print a table: `cargo test --release --manifest-path
//! benches/lab/Cargo.toml --test trust -- --include-ignored --nocapture --test-threads=1`.
//!
//! What is asserted are counts, and that the server's clock does not contradict what the generator says of itself. How
//! the figures of the two clients compare is for the reader of the table, since that depends on the machine.

mod recorder;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use abaca_lab::busy_loop::BusyLoop;
use abaca_lab::child::Launcher;
use abaca_lab::data::Spread;
use abaca_lab::load::{Pace, Plan, Report, run};
use abaca_lab::models::{self, Options};

use recorder::{OK, record};

/// Connections of each client.
const CONNECTIONS: u64 = 64;

#[test]
fn requests_arrive_when_the_plan_says_or_later_by_no_more_than_the_latency() {
    println!("planned /s   arrived /s   after the plan, us: p50      p99      max   reported latency max");
    for rate in [100.0, 1000.0, 5000.0] {
        let (server, seen) = record(OK, usize::MAX);
        let target = format!("http://{server}/").parse().expect("a target");
        let plan = Plan::new(target, Pace::Open { rate }, 16, Duration::from_millis(500));
        let plan = Plan { patience: Duration::from_secs(60), ..plan };
        let report = run(&plan).expect("the server listens");
        let arrivals = seen.arrivals();
        assert_eq!((arrivals.len() as u64, report.answered), (report.due, report.due), "{report}");

        // By the time of the arrival with this number, so many have been sent, and none before it was due; and all that
        // were due by then are there after the longest latency. So each is after its plan by a time between nothing and
        // that latency. When the plan began is not known here, but it is the same for all of them.
        let first = arrivals[0];
        let planned = |number: usize| Duration::from_secs_f64(number as f64 / rate).as_secs_f64();
        let after: Vec<f64> = arrivals
            .iter()
            .enumerate()
            .map(|(number, arrival)| arrival.duration_since(first).as_secs_f64() - planned(number))
            .collect();
        let ends = Spread::of(after.iter().copied()).expect("some arrived");
        let longest = report.latency.max_ns as f64 / 1e9;
        assert!(ends.high - ends.low <= longest, "{ends:?} s, of {longest} s: {report}");

        let mut late: Vec<f64> = after.iter().map(|after| (after - ends.low) * 1e6).collect();
        late.sort_by(f64::total_cmp);
        let quantile = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
        let span = arrivals.last().expect("some").duration_since(first).as_secs_f64();
        println!(
            "{rate:>10.0} {:>12.1} {:>27.0} {:>8.0} {:>8.0} {:>22.0}",
            (arrivals.len() - 1) as f64 / span,
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
            longest * 1e6
        );
    }
}

/// What a client says of a closed loop.
#[derive(Debug)]
struct Said {
    requests: u64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Loads with wrk for a second.
fn wrk(server: SocketAddr) -> Said {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), "-d1s", "--latency", &format!("http://{server}/")]);
    let output = command.output().expect("this test needs wrk: apt-get install wrk");
    let text = String::from_utf8(output.stdout).expect("plain text");
    assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "{text}");
    let word = |label: &str, nth: usize| -> &str {
        let line =
            text.lines().find(|line| line.contains(label)).unwrap_or_else(|| panic!("{label}: {text}"));
        line.split_whitespace().nth(nth).unwrap_or_else(|| panic!("{label}: {text}"))
    };
    Said {
        requests: word(" requests in ", 0).parse().expect("a count"),
        per_second: word("Requests/sec:", 1).parse().expect("a rate"),
        p50_us: microseconds(word("50%", 1)),
        p99_us: microseconds(word("99%", 1)),
    }
}

/// wrk's durations: `87.00us`, `1.25ms`, `2.00s`.
fn microseconds(text: &str) -> f64 {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let found = units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let (number, size) = found.unwrap_or_else(|| panic!("{text:?} is no duration"));
    number.parse::<f64>().expect("a number") * size
}

/// Loads with the lab's generator for a second.
fn load(server: SocketAddr) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abaca-lab"));
    command.args(["load", &format!("http://{server}/"), "--closed", "--json", "--duration=1s"]);
    command.arg(format!("--connections={CONNECTIONS}"));
    let output = command.output().expect("the lab is built");
    let report: Report = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!((report.errors.total(), report.answered), (0, report.due), "{report}");
    let us = |ns: u64| ns as f64 / 1e3;
    let (p50_us, p99_us) = (us(report.latency.p50_ns), us(report.latency.p99_ns));
    Said { requests: report.answered, per_second: report.rate, p50_us, p99_us }
}

/// How often each client loads each server.
const ROUNDS: usize = 5;

/// Loads a server for a second.
type Client = fn(SocketAddr) -> Said;

/// Lets the clients take turns at `round`, and prints the medians of what they say.
fn compare(name: &str, round: impl Fn(&str, Client) -> Said) {
    let clients: [(&str, Client); 2] = [("wrk", wrk), ("load --closed", load)];
    let mut all: [Vec<Said>; 2] = Default::default();
    for _ in 0..ROUNDS {
        for ((client, run), said) in clients.iter().zip(&mut all) {
            said.push(round(client, *run));
        }
    }
    for ((client, _), said) in clients.iter().zip(&all) {
        let of = |figure: fn(&Said) -> f64| Spread::of(said.iter().map(figure)).expect("there are rounds");
        let rate = of(|said| said.per_second);
        println!(
            "{name:<10} {client:<14} {:>10.0} {:>10.0} to {:>7.0} {:>9.0} {:>9.0}",
            rate.median,
            rate.low,
            rate.high,
            of(|said| said.p50_us).median,
            of(|said| said.p99_us).median
        );
    }
}

#[test]
#[ignore = "needs wrk; `.ci/run report` installs it and runs this"]
fn wrk_and_the_generator_are_answered_as_often_as_the_server_says() {
    println!("server     client         requests/s   (least to most)      p50 us    p99 us");
    compare("recorder", |client, run| {
        // A server of its own, since what one client sent last may be read when it is gone.
        let (server, seen) = record(OK, usize::MAX);
        let said = run(server);
        let counted = seen.arrivals().len() as u64;
        if client == "wrk" {
            // It leaves when its time is up, with a request on its way on each connection.
            let possible = said.requests..=said.requests + CONNECTIONS;
            assert!(possible.contains(&counted), "wrk {}, server {counted}", said.requests);
        } else {
            // The generator waits for the answers.
            assert_eq!(said.requests, counted, "{client}");
        }
        assert!(seen.connections.load(Ordering::Relaxed) >= CONNECTIONS, "{client}");
        said
    });

    let lab = Launcher::new(Path::new(env!("CARGO_BIN_EXE_abaca-lab")));
    let busy_loop = BusyLoop { iterations_per_us: 1.0 };
    let backend = lab.delay_server().expect("it starts");
    let options = Options { backend: backend.address(), workers: 2, pool: 4, busy_loop };
    for name in ["threads", "reactors", "abaca"] {
        let model = lab.model(models::find(name).expect("it is listed"), &options).expect("it starts");
        compare(name, |client, run| {
            let said = run(model.address());
            assert!(said.requests > 0, "{client}: {said:?}");
            said
        });
    }
}
