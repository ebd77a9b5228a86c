//! What the kernel says of this process.

use std::io;

/// A number in a line of `/proc/self/status`.
fn status(label: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("/proc/self/status has no {label}")))
}

/// Resident memory and page tables, in bytes.
pub(crate) fn memory() -> io::Result<u64> {
    Ok((status("VmRSS:")? + status("VmPTE:")?) * 1024)
}

/// Threads of the operating system.
pub(crate) fn threads() -> io::Result<u64> {
    status("Threads:")
}
