//! CPUs and CPU time of processes.

use std::process::Command;
use std::time::Duration;

/// Binds this process, and the threads it starts later, to one CPU.
pub(crate) fn pin_process(cpu: usize) {
    let pid = std::process::id().to_string();
    // taskset is part of util-linux, which every distribution has.
    let status = Command::new("taskset").args(["-apc", &cpu.to_string(), &pid]).output();
    assert!(status.is_ok_and(|output| output.status.success()), "cannot pin to CPU {cpu}");
}

/// User and system time of a process so far, of all its threads that still run.
pub(crate) fn time_of(pid: u32) -> Duration {
    let mut total = Duration::ZERO;
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return total };
    for task in tasks.flatten() {
        // The first field is the time spent on the CPU in nanoseconds, exact where `stat` counts in ticks of 10 ms.
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos = text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0);
        total += Duration::from_nanos(nanos);
    }
    total
}

/// Resident memory and page tables of a process, in bytes.
pub(crate) fn memory_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:") + field("VmPTE:")) * 1024
}
