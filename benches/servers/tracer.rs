//! Counting the system calls of a running process, with strace. Tracing makes a server several times slower, so a
//! traced run yields a count and no times.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A strace that is attached to a process.
pub(crate) struct Tracer {
    strace: Child,
    /// It speaks here of every thread that it meets; if nobody held the other end, that would end it.
    _output: BufReader<ChildStderr>,
    summary: PathBuf,
}

impl Tracer {
    /// Attaches to all threads of a process; `None` where strace is missing or not allowed to.
    pub(crate) fn attach(pid: u32) -> Option<Self> {
        let summary = std::env::temp_dir().join(format!("abaca-strace-{pid}"));
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-p", &pid.to_string(), "-o"]).arg(&summary);
        let mut strace = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
        let mut output = BufReader::new(strace.stderr.take()?);
        let mut line = String::new();
        // It says so once it is attached to every thread that there is, and something else if it cannot.
        output.read_line(&mut line).ok()?;
        let tracer = Self { strace, _output: output, summary };
        line.contains("attached").then_some(tracer)
    }

    /// Detaches; returns how many system calls there were.
    pub(crate) fn finish(mut self) -> Option<u64> {
        kill_process(Pid::from_child(&self.strace), Signal::INT).ok()?;
        self.strace.wait().ok()?;
        let summary = std::fs::read_to_string(&self.summary).ok()?;
        (!summary.is_empty()).then(|| calls(&summary))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // All of it is gone already after `finish`.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
        let _ = std::fs::remove_file(&self.summary);
    }
}

/// Adds up the column `calls` of strace's summary.
fn calls(summary: &str) -> u64 {
    let rows = summary.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|fields| fields.len() >= 5 && fields[0].parse::<f64>().is_ok());
    let rows = rows.filter(|fields| fields.last() != Some(&"total"));
    rows.filter_map(|fields| fields[3].parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_summary_add_up() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000060           1        40           read
 40.00    0.000040           1         2         1 epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.000100           2        42         1 total
";
        assert_eq!(calls(summary), 42);
    }
}
