//! Counting: valgrind's `exp-bbv`, which does no more than count the instructions of each thread.
//!
//! An operation is done some number of times, and then ten times as often. What the second run takes more is the operations'
//! alone: start and end of the process and of the runtime are the same in both.

use std::process::Command;

use super::operations::Operation;

/// What a process is told first that is to do an operation.
pub(crate) const PERFORM: &str = "--perform";

/// How many times as often the second run does it.
const MORE: u64 = 10;

/// What valgrind says of itself.
pub(crate) fn valgrind() -> Result<String, String> {
    let output =
        Command::new("valgrind").arg("--version").output().map_err(|error| format!("valgrind: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The instructions of one operation.
pub(crate) fn of(operation: &Operation) -> Result<f64, String> {
    let few = instructions(operation, operation.times)?;
    let many = instructions(operation, operation.times * MORE)?;
    Ok(many.saturating_sub(few) as f64 / (operation.times * (MORE - 1)) as f64)
}

/// What the busiest thread executes: the worker, or whoever else does the operation.
fn instructions(operation: &Operation, times: u64) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=exp-bbv", "--instr-count-only=yes", "--bb-out-file=/dev/null", "--fair-sched=yes"])
        .arg(this)
        .args([PERFORM, operation.name, &times.to_string()]);
    let output = command.output().map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{command:?}: {}\n{report}", output.status));
    }
    busiest(&report).ok_or_else(|| format!("{command:?} counts nothing:\n{report}"))
}

/// The largest count of a thread in exp-bbv's report.
fn busiest(report: &str) -> Option<u64> {
    let counts = report.lines().filter_map(|line| line.split("Total instructions:").nth(1));
    counts.filter_map(|count| count.trim().parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_thread_is_found() {
        let report = "\
==7== # Thread 1
==7== #   Total intervals: 0 (Interval Size 100000000)
==7== #   Total instructions: 141529
==7== # Thread 2
==7== #   Total instructions: 9000000
";
        assert_eq!(busiest(report), Some(9_000_000));
        assert_eq!(busiest("==7== nothing"), None);
    }
}
