//! Measuring: starts a server, loads it, reads its CPU time, and does so for every model in turn.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;

use super::load::Seen;
use super::plan::{SCENARIOS, Scenario};
use super::tracer::Tracer;
use super::{Model, Service, cpu};

pub(crate) struct Settings {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) only: Option<String>,
    pub(crate) small: bool,
}

/// The measurements of one model in one scenario.
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) model: Model,
    pub(crate) samples: Vec<Sample>,
    /// System calls per request, of a run of its own.
    calls: Option<f64>,
}

impl Row {
    /// The median over the rounds.
    fn median(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let mut figures: Vec<f64> = self.samples.iter().filter_map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    pub(crate) fn cpu_us(&self) -> Option<f64> {
        self.median(|sample| Some(sample.cpu_us))
    }

    pub(crate) fn rate(&self) -> Option<f64> {
        self.median(|sample| Some(sample.rate))
    }

    pub(crate) fn p50_us(&self) -> Option<f64> {
        self.median(|sample| Some(sample.p50_us))
    }

    pub(crate) fn p99_us(&self) -> Option<f64> {
        self.median(|sample| Some(sample.p99_us))
    }

    pub(crate) fn idle_bytes(&self) -> Option<f64> {
        self.median(|sample| sample.idle_bytes)
    }

    pub(crate) fn calls(&self) -> Option<f64> {
        self.calls
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) cpu_us: f64,
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Bytes per idle connection after one echo; echo only.
    pub(crate) idle_bytes: Option<f64>,
    /// System calls per request; traced runs only.
    calls: Option<f64>,
}

/// Whether a run is for times or for counting system calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Time,
    Count,
}

/// The memory of fewer connections says more about a server's own buffers.
const ENOUGH_TO_WEIGH: usize = 500;

/// Counting needs no long run.
const COUNTING_SECONDS: f64 = 0.5;

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let chosen = SCENARIOS.iter().enumerate().filter(|(at, scenario)| {
        // With the number of connections taken away, scenarios that differ in nothing else are one.
        let same = |other: &Scenario| other.service == scenario.service && other.workers == scenario.workers;
        let repeats = settings.small && SCENARIOS[..*at].iter().any(same);
        !repeats && settings.only.as_ref().is_none_or(|only| scenario.name.contains(&**only))
    });
    chosen.flat_map(|(_, scenario)| run_scenario(scenario, settings)).collect()
}

fn run_scenario(scenario: &Scenario, settings: &Settings) -> Vec<Row> {
    let scenario =
        Scenario { connections: if settings.small { 8 } else { scenario.connections }, ..*scenario };
    let mut rows: Vec<Row> = scenario
        .models
        .iter()
        .map(|&model| Row { scenario: scenario.name, model, samples: Vec::new(), calls: None })
        .collect();
    for round in 0..settings.rounds {
        for row in &mut rows {
            eprint!(
                "\r{:<28} round {} of {}  {:<16}",
                scenario.name,
                round + 1,
                settings.rounds,
                format!("{:?}", row.model)
            );
            // A model that is not there (no go, no wrk) or fails leaves its row empty.
            row.samples.extend(sample(&scenario, row.model, settings.seconds, Purpose::Time));
        }
    }
    for row in &mut rows {
        eprint!("\r{:<28} system calls  {:<16}", scenario.name, format!("{:?}", row.model));
        let seconds = settings.seconds.min(COUNTING_SECONDS);
        row.calls = sample(&scenario, row.model, seconds, Purpose::Count).and_then(|sample| sample.calls);
    }
    eprintln!("\r{:<28} done{:40}", scenario.name, "");
    rows
}

/// A child that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(command: &mut Command) -> Option<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok().map(Self)
    }

    /// The next line of its output.
    fn line(reader: &mut impl BufRead) -> Option<String> {
        let mut line = String::new();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim().to_owned())
    }
}

fn sample(scenario: &Scenario, model: Model, seconds: f64, purpose: Purpose) -> Option<Sample> {
    let mut server = Process::start(&mut server_command(scenario, model)?)?;
    let mut output = BufReader::new(server.0.stdout.take()?);
    let address: SocketAddr = Process::line(&mut output)?.parse().ok()?;
    let pid = server.0.id();
    match scenario.service {
        Service::Echo => echo_sample(scenario, pid, address, seconds, purpose),
        Service::Hello => hello_sample(scenario, pid, address, seconds, purpose),
    }
}

fn server_command(scenario: &Scenario, model: Model) -> Option<Command> {
    if model == Model::Go {
        let mut command = Command::new(go_server()?);
        command.arg(format!("{:?}", scenario.service).to_lowercase()).arg(scenario.workers.to_string());
        return Some(command);
    }
    let name =
        |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|v| v.get_name().to_owned());
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.arg("serve").arg(name(&|| model.to_possible_value())?);
    command.arg(name(&|| scenario.service.to_possible_value())?).arg(scenario.workers.to_string());
    Some(command)
}

/// Builds the Go servers once per process, if there is a `go` command.
fn go_server() -> Option<&'static std::path::Path> {
    static BUILT: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/go/main.go");
        let binary = std::env::current_exe().ok()?.with_file_name("go-servers");
        let status = Command::new("go").arg("build").arg("-o").arg(&binary).arg(source).status();
        status.is_ok_and(|status| status.success()).then_some(binary)
    });
    built.as_deref()
}

/// A client, on CPU 1 if the server is on CPU 0.
fn client(scenario: &Scenario, program: &std::ffi::OsStr) -> Command {
    if scenario.workers != 1 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program);
    command
}

fn tracer_for(purpose: Purpose, pid: u32) -> Option<Tracer> {
    (purpose == Purpose::Count).then(|| Tracer::attach(pid)).flatten()
}

fn calls_per_request(tracer: Option<Tracer>, requests: f64) -> Option<f64> {
    let calls = tracer?.finish()? as f64;
    (requests > 0.0).then(|| calls / requests)
}

fn echo_sample(
    scenario: &Scenario,
    pid: u32,
    address: SocketAddr,
    seconds: f64,
    purpose: Purpose,
) -> Option<Sample> {
    let before = cpu::memory_of(pid);
    let mut command = client(scenario, std::env::current_exe().ok()?.as_os_str());
    command.args(["load", &address.to_string(), &scenario.connections.to_string(), &seconds.to_string()]);
    let mut load = Process::start(&mut command)?;
    let mut output = BufReader::new(load.0.stdout.take()?);
    assert_eq!(Process::line(&mut output)?, "ready");
    let idle_bytes = cpu::memory_of(pid).saturating_sub(before) as f64 / scenario.connections as f64;
    let tracer = tracer_for(purpose, pid);
    let busy = cpu::time_of(pid);
    load.0.stdin.as_mut()?.write_all(b"go\n").ok()?;
    let seen: Seen = serde_json::from_str(&Process::line(&mut output)?).ok()?;
    let busy = cpu::time_of(pid).saturating_sub(busy);
    Some(Sample {
        cpu_us: busy.as_secs_f64() * 1e6 / seen.requests as f64,
        rate: seen.requests as f64 / seen.seconds,
        p50_us: seen.p50_us,
        p99_us: seen.p99_us,
        idle_bytes: (scenario.connections >= ENOUGH_TO_WEIGH).then_some(idle_bytes),
        calls: calls_per_request(tracer, seen.requests as f64),
    })
}

fn hello_sample(
    scenario: &Scenario,
    pid: u32,
    address: SocketAddr,
    seconds: f64,
    purpose: Purpose,
) -> Option<Sample> {
    // wrk counts whole seconds only.
    let duration = format!("{}s", seconds.ceil().max(1.0));
    let mut command = client(scenario, "wrk".as_ref());
    command.args(["-t1", &format!("-c{}", scenario.connections), "-d", &duration, "--latency"]);
    let tracer = tracer_for(purpose, pid);
    let busy = cpu::time_of(pid);
    let output = command.arg(format!("http://{address}/")).output().ok()?;
    let busy = cpu::time_of(pid).saturating_sub(busy);
    let text = String::from_utf8(output.stdout).ok()?;
    let after = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    };
    let requests: f64 =
        text.lines().find(|line| line.contains("requests in"))?.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        cpu_us: busy.as_secs_f64() * 1e6 / requests,
        rate: after("Requests/sec:")?.parse().ok()?,
        p50_us: micros(&after("50%")?)?,
        p99_us: micros(&after("99%")?)?,
        idle_bytes: None,
        calls: calls_per_request(tracer, requests),
    })
}

/// wrk's durations: `12.34us`, `1.20ms`, `3.00s`.
fn micros(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit.as_micros() as f64)
}
