//! What the examples share: a look at this process's memory, and a way to end with an error.

use std::fmt::Display;
use std::io;

/// What the kernel accounts to this process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident pages.
    pub resident: u64,
    /// The largest that was.
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
        let status = std::fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(Self {
            resident: field("VmRSS:") * 1024,
            peak: field("VmHWM:") * 1024,
            page_tables: field("VmPTE:") * 1024,
            threads: field("Threads:"),
        })
    }

    /// Resident pages and page tables.
    pub fn total(self) -> u64 {
        self.resident + self.page_tables
    }
}

/// How many memory mappings this process has; the kernel's limit is `vm.max_map_count`.
///
/// # Errors
///
/// When procfs is not mounted.
pub fn mappings() -> io::Result<usize> {
    Ok(std::fs::read_to_string("/proc/self/maps")?.lines().count())
}

/// How many connections with both ends in this process to make: `wanted`, else `usual` or what the limit of open
/// files allows. Raises the soft limit to the hard one.
///
/// # Errors
///
/// When more are wanted than the limit allows.
pub fn connections_allowed(wanted: Option<u64>, usual: u64) -> io::Result<u64> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let most = files.saturating_sub(64) / 2;
    match wanted {
        Some(wanted) if wanted > most => Err(io::Error::other(format!(
            "{wanted} connections need more than the {files} open files allowed"
        ))),
        wanted => Ok(wanted.unwrap_or(most.min(usual))),
    }
}

/// Prints `error: ...` and ends the process with status 1.
pub fn fail(error: impl Display) -> ! {
    eprintln!("error: {error}");
    std::process::exit(1)
}
