//! The compatibility matrix: blocking crates and C libraries, as they are, on fibers of **one** worker, beside the same on OS threads.
//!
//! `cargo run --release` in this folder, with the names of programs for only these. Each program makes a call that takes 200 ms at its
//! server. What must hold, or the program fails:
//!
//! * Ten of them are served at once.
//! * Their results are those of OS threads.
//! * A deadline of 50 ms ends one, unless it waits for another thread.
//! * Where the server goes away in the middle, the client's error is that of an OS thread.
//!
//! What a busy machine is late by is only told: whether the ten take at most 400 ms, beside a ticker that is at most 10 ms late.
//!
//! Without the feature `whole` it has the programs alone that are soon built, each needs a call that was right once, and not in time.
//!
//! `--page FILE` writes the guide's page, if no program fails and each has its server. `--threads-are-fibers` makes the threads that the programs start fibers as well.

#![cfg_attr(not(feature = "whole"), allow(dead_code, reason = "a part of it is for the whole matrix"))]

mod call;
mod page;
mod programs;
mod row;
mod seen;
mod servers;

use std::path::PathBuf;

use servers::Servers;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut chosen, mut page, mut threads_are_fibers) = (Vec::new(), None, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--page" => page = Some(PathBuf::from(arguments.next().expect("a file"))),
            "--threads-are-fibers" => threads_are_fibers = true,
            _ => chosen.push(argument),
        }
    }
    abaca_transparent::install().unwrap();
    let servers = Servers::start();
    if threads_are_fibers {
        abaca_transparent::threads_are_fibers().unwrap();
    }
    let (mut rows, mut is_one_missing) = (Vec::new(), false);
    for program in programs::programs() {
        let is_chosen = chosen.is_empty() || chosen.iter().any(|name| name == program.name);
        if is_chosen && (program.is_there)(&servers) {
            let row = row::run(program, &servers);
            eprintln!("{row}");
            rows.push(row);
        } else if is_chosen {
            eprintln!("{}: skipped, its server is not installed", program.name);
            is_one_missing = true;
        }
    }
    for call in abaca_transparent::report() {
        eprintln!("blocked: {call}");
    }
    // The page has all rows.
    let has_failed = rows.iter().any(|row| !row.failures.is_empty()) || is_one_missing && page.is_some();
    match page {
        Some(path) if !has_failed => std::fs::write(path, page::page(&rows)).unwrap(),
        Some(path) => eprintln!("{} is left as it was", path.display()),
        None => {}
    }
    drop(servers);
    std::process::exit(has_failed.into());
}
