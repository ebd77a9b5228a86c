//! abaca at work, in a few seconds: a million fibers, switches, fibers that wait, ten thousand connections. And how to go on
//! from here to the lab, which measures the same beside everything else.
//!
//! `cargo run --release -p abaca-demo` is the first command of the README. It depends on as good as nothing, so that it is
//! built in seconds too; `abaca-demo 0.01` does a hundredth of everything.

mod connections;
mod process;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The lab's door.
const NEXT: &str = "
These are a glimpse. On to the lab, where one service runs in every concurrency model from thread to callback, abaca,
tokio, may, Go and Java among them, loaded at fixed rates, side by side on this machine (a few minutes; then open the page):

    cargo run --release --manifest-path benches/lab/Cargo.toml -- --quick

Tasks beside the peers' (tokio, may, Go): cargo run --release -p abaca-benches --bin compare -- --quick
What else blocking code can do:           examples/, of about a hundred lines each";

fn main() -> ExitCode {
    let Some(share) = share() else {
        eprintln!("usage: abaca-demo [SHARE], of what it usually does: above 0, at most 1");
        return ExitCode::FAILURE;
    };
    match show(share) {
        Ok(()) => {
            // A reader of the beginning only has closed the pipe: no error.
            let _ = writeln!(io::stdout(), "{NEXT}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What to do of everything.
fn share() -> Option<f64> {
    match std::env::args().nth(1) {
        None => Some(1.0),
        Some(text) => text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0),
    }
}

fn show(share: f64) -> io::Result<()> {
    let scaled = move |amount: u64| ((amount as f64 * share) as u64).max(1);
    println!("abaca, on {} workers\n", std::thread::available_parallelism().map_or(1, usize::from));
    // A runtime each: what one part leaves behind is not the next one's.
    abaca::run(move || spawn_and_join(scaled(1_000_000)));
    abaca::run(move || switch(scaled(5_000_000)));
    abaca::run(move || wait(scaled(100_000)))?;
    let time = Duration::from_secs(3).mul_f64(share);
    abaca::run(move || connections::serve_and_drive(scaled(10_000), time))
}

/// A line: what was done, and what it came to.
fn line(what: &str, figures: &str) {
    println!("{what:<42}{figures}");
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// Nanoseconds of each of so many.
fn each(elapsed: Duration, count: u64) -> f64 {
    elapsed.as_secs_f64() * 1e9 / count as f64
}

fn spawn_and_join(fibers: u64) {
    let began = Instant::now();
    let handles: Vec<_> = (0..fibers).map(|number| abaca::spawn(move || number)).collect();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().expect("it does not panic")).sum();
    assert_eq!(sum, fibers * (fibers - 1) / 2);
    let elapsed = began.elapsed();
    let figures = format!("{:.2} s, {:.0} ns each", elapsed.as_secs_f64(), each(elapsed, fibers));
    line(&format!("{} fibers spawned and joined", grouped(fibers)), &figures);
}

/// Two fibers that yield to each other.
fn switch(switches: u64) {
    let yields = switches.div_ceil(2);
    let run = move || (0..yields).for_each(|_| abaca::yield_now());
    let began = Instant::now();
    // On one worker, so that they have each other to yield to.
    let other = abaca::fiber::spawn_local(run);
    run();
    other.join().expect("it does not panic");
    let elapsed = began.elapsed();
    let figures = format!("{:.2} s, {:.1} ns each", elapsed.as_secs_f64(), each(elapsed, yields * 2));
    line(&format!("{} switches from fiber to fiber", grouped(yields * 2)), &figures);
}

/// Fibers that all wait, what they hold, and how soon they are done when they may go on.
fn wait(fibers: u64) -> io::Result<()> {
    let (gate, opens) = abaca::channel::bounded::<()>(0);
    let all_wait = abaca::sync::WaitGroup::new();
    let before = process::memory()?;
    let handles: Vec<_> = (0..fibers)
        .map(|_| {
            let (opens, begun) = (opens.clone(), all_wait.clone());
            abaca::spawn(move || {
                drop(begun);
                // Nothing is ever sent: it returns when the gate is dropped.
                opens.recv().is_err()
            })
        })
        .collect();
    all_wait.wait();
    let bytes = process::memory()?.saturating_sub(before) / fibers;
    let began = Instant::now();
    drop(gate);
    for handle in handles {
        assert!(handle.join().expect("it does not panic"));
    }
    let woken = began.elapsed();
    let figures = format!("{} bytes each with stack and page tables; woken in {woken:.1?}", grouped(bytes));
    line(&format!("{} fibers waiting at once", grouped(fibers)), &figures);
    Ok(())
}
