//! The compatibility matrix: blocking crates, as they are, on fibers of **one** worker, beside the same on OS threads.
//!
//! `cargo run --release` in this folder. Each program makes a call that takes 200 ms at its server. What must hold:
//!
//! * Ten of them at once take at most 400 ms, beside a ticker that is at most 10 ms late.
//! * Their results are those of OS threads.
//! * A deadline of 50 ms ends one, unless it waits for another thread.
//! * Where the server closes the connection in the middle, the client's error is that of an OS thread.
//!
//! A busy machine is late by itself, so a program has several attempts. With an argument, the table is written into that file.

mod programs;
mod servers;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use programs::{PROGRAMS, Program};
use servers::Servers;

/// How many calls are made at once.
const AT_ONCE: usize = 10;
const MOST_TIME: Duration = Duration::from_millis(400);
const MOST_LATE: Duration = Duration::from_millis(10);
const ATTEMPTS: usize = 5;

/// What a program did.
struct Row {
    name: &'static str,
    version: String,
    fibers: Duration,
    threads: Duration,
    late: Duration,
    failures: Vec<String>,
}

fn on_threads(program: &Program, servers: &Servers) -> (Duration, Vec<Result<String, String>>) {
    let began = Instant::now();
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| (program.slow)(servers))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (began.elapsed(), results)
}

fn on_fibers(program: &Program, servers: &Servers) -> (Duration, Vec<Result<String, String>>, Duration) {
    let (is_over, late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let ticker = abaca::spawn({
        let (is_over, late) = (is_over.clone(), late.clone());
        move || {
            while !is_over.load(Ordering::Relaxed) {
                let due = Instant::now() + Duration::from_millis(2);
                abaca::sleep(Duration::from_millis(2));
                late.fetch_max(due.elapsed().as_micros() as u64, Ordering::Relaxed);
            }
        }
    });
    let began = Instant::now();
    let results = abaca::scope(|scope| {
        let fibers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| (program.slow)(servers))).collect();
        fibers.into_iter().map(|fiber| fiber.join().unwrap()).collect()
    });
    let taken = began.elapsed();
    is_over.store(true, Ordering::Relaxed);
    ticker.join().unwrap();
    (taken, results, Duration::from_micros(late.load(Ordering::Relaxed)))
}

fn run(program: &'static Program, servers: &Servers) -> Row {
    let (threads, mut expected) = on_threads(program, servers);
    expected.sort();
    let dropped_thread = std::thread::scope(|scope| {
        program.dropped.map(|dropped| scope.spawn(move || dropped(servers)).join().unwrap())
    });
    let runtime = abaca::Runtime::builder().workers(1).stack_size(1024 * 1024).build().unwrap();
    let mut failures = Vec::new();
    let (mut fibers, mut late) = (Duration::MAX, Duration::MAX);
    for _ in 0..ATTEMPTS {
        failures.clear();
        let (taken, mut found, ticker_late) = runtime.run(|| on_fibers(program, servers));
        found.sort();
        (fibers, late) = (fibers.min(taken), late.min(ticker_late));
        if taken > MOST_TIME {
            failures.push(format!("took {taken:?}"));
        }
        if ticker_late > MOST_LATE {
            failures.push(format!("a neighbour was late by {ticker_late:?}"));
        }
        if found != expected {
            failures.push(format!("answered {found:?}, not {expected:?}"));
        }
        let (taken, ended) = runtime.run(|| {
            let began = Instant::now();
            let ended = abaca::time::timeout(Duration::from_millis(50), || (program.slow)(servers));
            (began.elapsed(), ended.is_err())
        });
        if program.ends && (!ended || taken > Duration::from_millis(150)) {
            failures.push(format!("a deadline of 50 ms: {ended}, after {taken:?}"));
        }
        if let Some(dropped) = program.dropped {
            let found = runtime.run(|| dropped(servers));
            if Some(&found) != dropped_thread.as_ref() {
                failures.push(format!("a server that is gone: {found:?}, not {dropped_thread:?}"));
            }
        }
        if failures.is_empty() {
            break;
        }
    }
    Row { name: program.name, version: version_of(program.package), fibers, threads, late, failures }
}

/// The version of a package in the lock file.
fn version_of(package: Option<&str>) -> String {
    let Some(package) = package else { return "of the toolchain".into() };
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")));
    let line = entry.and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = ")));
    line.unwrap_or("?").trim_matches('"').to_owned()
}

fn main() {
    abaca_transparent::install().unwrap();
    let servers = Servers::start();
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.contains('.')).collect();
    let mut table = String::from(
        "| program | version | ten at once, ms | on OS threads, ms | a neighbour late by, ms | verdict |\n|---|---|---|---|---|---|\n",
    );
    let mut has_failed = false;
    for program in PROGRAMS {
        if !chosen.is_empty() && !chosen.iter().any(|name| name == program.name)
            || !(program.is_there)(&servers)
        {
            continue;
        }
        let row = run(program, &servers);
        has_failed |= !row.failures.is_empty();
        let verdict = if row.failures.is_empty() { "works".into() } else { row.failures.join("; ") };
        let (fibers, threads) = (row.fibers.as_millis(), row.threads.as_millis());
        let late = row.late.as_micros() as f64 / 1000.0;
        writeln!(table, "| {} | {} | {fibers} | {threads} | {late:.1} | {verdict} |", row.name, row.version)
            .unwrap();
        eprintln!("{}: {verdict} ({fibers} ms, threads {threads} ms, late {late:.1} ms)", row.name);
    }
    for call in abaca_transparent::report() {
        eprintln!("blocked: {call}");
    }
    println!("{table}");
    if let Some(path) = std::env::args().skip(1).find(|argument| argument.contains('.')) {
        std::fs::write(path, table).unwrap();
    }
    drop(servers);
    std::process::exit(has_failed.into());
}
