//! Helpers of the examples that measure: the lines that they print, this process's memory, and their exit on an error.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Prints one line of a report: what, how much, and what there is to say about it.
pub fn row(what: &str, figure: impl Display, remark: impl Display) {
    progress("");
    // A string first: a value's own `Display` may ignore the width.
    let figure = figure.to_string();
    println!("{}", format!("{what:<24}{figure:>14}  {remark}").trim_end());
}

/// A number with its thousands set apart: 1,000,000.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// Overwrites the last line of a terminal; an empty text clears it. Prints nothing if standard error is no terminal.
pub fn progress(text: impl Display) {
    if io::stderr().is_terminal() {
        // Carriage return, then "erase to the end of the line".
        eprint!("\r\x1b[K{text}");
    }
}

/// The value of `result`. On an error, prints `error: ...` and exits with status 1.
pub fn or_fail<T>(result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| {
        progress("");
        eprintln!("error: {error}");
        std::process::exit(1)
    })
}

/// A duration from an option: seconds, which may have a fraction.
///
/// # Errors
///
/// The text is not a number, or not a duration.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Adds to an error what was being done: `.map_err(context("listening on port 80"))`.
pub fn context(what: impl Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// How many memory mappings this process has; the kernel's limit is `vm.max_map_count`.
///
/// # Errors
///
/// When procfs is not mounted.
pub fn mappings() -> io::Result<u64> {
    Ok(std::fs::read_to_string("/proc/self/maps")?.lines().count() as u64)
}

/// How many connections with both ends in this process to make: `wanted`, else `usual` or what the limit of open
/// files allows. Raises the soft limit to the hard one.
///
/// # Errors
///
/// When more are wanted than the limit allows.
pub fn connections_allowed(wanted: Option<NonZero<u64>>, usual: u64) -> io::Result<u64> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    // The runtime and the standard streams have some open, too.
    let most = files.saturating_sub(32) / 2;
    let wanted = match wanted.map(NonZero::get) {
        Some(wanted) if wanted > most => {
            let (wanted, files) = (grouped(wanted), grouped(files));
            let text =
                format!("{wanted} connections, of two files each, exceed the limit of {files} open files");
            return Err(io::Error::other(text));
        }
        wanted => wanted.unwrap_or(usual),
    };
    if wanted > most {
        eprintln!("note: the limit of {} open files (ulimit -Hn) allows no more connections", grouped(files));
    }
    Ok(wanted.min(most))
}

/// How long answers took, from many fibers. The lock is held for nanoseconds and never across a wait, so std's is fine.
#[derive(Debug)]
pub struct Latencies(Mutex<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        // Of fixed size: a histogram that grows would saturate at its first size in `saturating_record`.
        let histogram = Histogram::new_with_bounds(1, 600_000_000_000, 3);
        Self(Mutex::new(histogram.expect("ten minutes, to three digits, are within its bounds")))
    }
}

impl Latencies {
    /// Counts one answer.
    pub fn record(&self, latency: Duration) {
        self.with(|histogram| histogram.saturating_record(latency.as_nanos() as u64));
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.with(|histogram| histogram.len())
    }

    /// Prints a row each for the median and for the slowest 1 % and 0.1 %.
    pub fn print(&self) {
        for percentile in [50.0, 99.0, 99.9] {
            let nanos = self.with(|histogram| histogram.value_at_percentile(percentile));
            row(&format!("latency p{percentile}"), format!("{:.2}", nanos as f64 / 1e6), "ms");
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Histogram<u64>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// This process's memory, in bytes, and its threads, as the kernel counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident pages.
    pub resident: u64,
    /// The most that were resident at once.
    pub peak: u64,
    /// Page tables.
    pub page_tables: u64,
    /// Operating system threads.
    pub threads: u64,
}

impl Memory {
    /// Reads `/proc/self/status`.
    ///
    /// # Errors
    ///
    /// When procfs is not mounted.
    pub fn now() -> io::Result<Self> {
        let status = "/proc/self/status";
        Ok(Self {
            resident: field(status, "VmRSS:")? * 1024,
            peak: field(status, "VmHWM:")? * 1024,
            page_tables: field(status, "VmPTE:")? * 1024,
            threads: field(status, "Threads:")?,
        })
    }

    /// Resident pages and page tables.
    pub fn total(self) -> u64 {
        self.resident + self.page_tables
    }

    /// The memory that the machine has available, in bytes.
    ///
    /// # Errors
    ///
    /// When procfs is not mounted.
    pub fn available() -> io::Result<u64> {
        Ok(field("/proc/meminfo", "MemAvailable:")? * 1024)
    }
}

fn field(file: &str, name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(file).map_err(context(file))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| io::Error::other(format!("{file} does not show {name}")))
}
