//! How many instructions the hot paths take, beside a committed table of what they took.
//!
//! `cargo run --profile bench -p abaca-counts` counts them under valgrind and fails if one has moved by more
//! than a few in a hundred. Nanoseconds differ from run to run on a machine that others use; these counts do not, because
//! one worker runs all of it, and by a clock of its own ([`clock`]). What is built differently (another profile, another
//! compiler) has other counts: the table is of the profile `bench` and the pinned toolchain.

mod clock;
mod count;
mod echo;
mod operations;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use self::operations::Operation;
use self::table::Table;

const USAGE: &str = "\
usage: abaca-counts [OPERATION ..] [--within PERCENT] [--update] [--table FILE]
  OPERATION         only operations whose names contain one of these
  --within PERCENT  by how much a count may differ from the table's, either way (3)
  --update          write what was counted into the table, instead of comparing
  --table FILE      the table (the one beside this program's source)";

/// What was asked for on the command line.
struct Options {
    operations: Vec<String>,
    within: f64,
    update: bool,
    table: PathBuf,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let table = concat!(env!("CARGO_MANIFEST_DIR"), "/table.txt").into();
        let mut options = Self { operations: Vec::new(), within: 3.0, update: false, table };
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--within" => options.within = arguments.next()?.parse().ok()?,
                "--update" => options.update = true,
                "--table" => options.table = arguments.next()?.into(),
                _ if argument.starts_with('-') => return None,
                _ => options.operations.push(argument),
            }
        }
        Some(options)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The counting process starts others, under valgrind.
    if let [role, name, times] = &*arguments
        && role == count::PERFORM
    {
        return perform(name, times);
    }
    let Some(options) = Options::parse(arguments.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match compare(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Does an operation so many times.
fn perform(name: &str, times: &str) -> ExitCode {
    let operation = operations::ALL.iter().find(|operation| operation.name == name);
    let (Some(operation), Ok(times)) = (operation, times.parse()) else {
        eprintln!("no operation {name:?}, or no number {times:?}");
        return ExitCode::FAILURE;
    };
    (operation.perform)(times);
    ExitCode::SUCCESS
}

/// Whether all counts are what the table says.
fn compare(options: &Options) -> Result<bool, String> {
    let chosen = |operation: &&Operation| {
        options.operations.is_empty()
            || options.operations.iter().any(|part| operation.name.contains(part.as_str()))
    };
    let mut table = Table::read(&options.table)?;
    let valgrind = count::valgrind()?;
    if valgrind != table.valgrind && !options.update {
        println!(
            "the table is of {}, this is {valgrind}: counts of what waits in the kernel may differ",
            table.valgrind
        );
    }
    table.valgrind = valgrind;
    let mut all_hold = true;
    println!("{:<20} {:>12} {:>12} {:>8}", "instructions", "table", "now", "percent");
    for operation in operations::ALL.iter().filter(chosen) {
        let now = count::of(operation)?;
        let before = table.get(operation.name);
        let moved = before.map(|before| (now / before - 1.0) * 100.0);
        let holds = moved.is_some_and(|moved| moved.abs() <= options.within);
        let text = |figure: Option<f64>, digits: usize| {
            figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
        };
        let verdict = if holds || options.update { "" } else { "  MOVED" };
        println!("{:<20} {:>12} {now:>12.1} {:>8}{verdict}", operation.name, text(before, 1), text(moved, 2));
        all_hold &= holds;
        table.set(operation.name, now);
    }
    if options.update {
        table.write(&options.table)?;
        return Ok(true);
    }
    if !all_hold {
        println!(
            "moved by more than {} %: if that is meant, `--update` writes the new counts",
            options.within
        );
    }
    Ok(all_hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_understood() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let options = parse("echo --within 1 switch --update").expect("it is right");
        assert_eq!((options.within, options.update), (1.0, true));
        assert_eq!(options.operations, ["echo", "switch"]);
        assert!(parse("--within much").is_none() && parse("--what").is_none());
    }
}
