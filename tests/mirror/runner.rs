//! The program that plays one example: `play NUMBER fiber|thread`. A template; `stage.rs` writes the examples beside it.
//!
//! It ends with the example's own exit code, with 101 when the example panics, and with 75 when it does not end.

#![allow(warnings)]

mod examples;
mod peer;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// How long an example may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let number: usize = arguments.next().expect("a number").parse().expect("a number");
    let place = arguments.next().expect("a place");
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!("did not end in {PATIENCE:?}");
        std::process::exit(75);
    });
    let (_, play) = *examples::ALL.iter().find(|(known, _)| *known == number).expect("an example of that number");
    match place.as_str() {
        "fiber" => abaca::run(play),
        "thread" => play(),
        place => panic!("{place}: play in a fiber or in a thread"),
    }
}
