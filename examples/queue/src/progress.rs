//! How far the queue is, on the terminal.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::counters::Counters;
use crate::keys::Keys;
use crate::link::Link;

/// A line that says where the jobs are, and how fast they get there.
pub(crate) struct Progress {
    before: Option<(Instant, Counters)>,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { before: None, is_terminal: io::stdout().is_terminal() }
    }

    /// Shows the counters: in the place of the last line, where there is a terminal.
    pub(crate) fn show(&mut self, now: &Counters, note: &str) -> io::Result<()> {
        let line = format!("{}{note}", self.line(now, Instant::now()));
        let mut output = io::stdout();
        if self.is_terminal {
            write!(output, "\r\x1b[K{line}")?;
        } else {
            writeln!(output, "{line}")?;
        }
        output.flush()
    }

    /// Leaves the last line where it is.
    pub(crate) fn end(&self) {
        if self.is_terminal {
            println!();
        }
    }

    fn line(&mut self, now: &Counters, when: Instant) -> String {
        let (begun, before) = self.before.replace((when, now.clone())).unwrap_or((when, now.clone()));
        let seconds = (when - begun).as_secs_f64();
        let rate = |now: u64, before: u64| {
            if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 }
        };
        format!(
            "added {} ({:.0}/s)  waiting {}  in flight {}  delayed {}  done {} ({:.0}/s)  dead {}  lost {}",
            now.added,
            rate(now.added, before.added),
            now.waiting,
            now.pending,
            now.delayed,
            now.done,
            rate(now.done, before.done),
            now.dead,
            now.trimmed + now.missing,
        )
    }
}

/// Shows the counters of a queue, once or again and again.
pub(crate) fn show(link: &mut Link, keys: &Keys, period: Option<Duration>) -> Result<(), Box<dyn Error>> {
    let mut progress = Progress::new();
    loop {
        let counters = Counters::ask(link, keys)?;
        progress.show(&counters, "")?;
        let Some(period) = period else { break };
        std::thread::sleep(period);
    }
    progress.end();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_since_the_last_line() {
        let mut progress = Progress { before: None, is_terminal: false };
        let now = Instant::now();
        let counters = |done| Counters { done, ..Counters::default() };
        assert!(progress.line(&counters(100), now).contains("done 100 (0/s)"));
        assert!(progress.line(&counters(300), now + Duration::from_millis(500)).contains("done 300 (400/s)"));
    }
}
