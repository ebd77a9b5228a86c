//! This process' memory and CPU time, as the kernel counts them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A line of `/proc/self/status`, in bytes.
fn status(label: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = text.lines().find_map(|line| line.strip_prefix(label)).expect("the kernel reports this line");
    let kilobytes: u64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number of kB");
    kilobytes * 1024
}

/// What is resident now, with the page tables, in bytes.
#[must_use]
pub fn resident() -> u64 {
    pages() + status("VmPTE:")
}

/// What is resident now, without page tables, in bytes.
#[must_use]
pub fn pages() -> u64 {
    status("VmRSS:")
}

/// The most that was ever resident, without page tables, in bytes.
#[must_use]
pub fn peak() -> u64 {
    status("VmHWM:")
}

/// CPU time of all threads so far.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
