//! What the processes of a model have used: CPU time, switches, memory.

use std::fs::read_to_string;

use rustix::param::clock_ticks_per_second;

use crate::child::Server;

/// What processes have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// CPU time, the kernel's included.
    pub(super) cpu_seconds: f64,
    /// Voluntary and involuntary switches of the threads that are alive.
    pub(super) switches: u64,
}

/// What the model's processes have used so far.
pub(super) fn usage(server: &Server) -> Usage {
    let mut usage = Usage::default();
    for pid in server.processes() {
        usage.cpu_seconds += cpu_seconds(pid).unwrap_or(0.0);
        usage.switches += switches(pid);
    }
    usage
}

/// Two counts, each of which misses something: that of the threads that are alive is exact, and that of the process
/// includes those that have ended, but is cut to ticks.
fn cpu_seconds(pid: u32) -> Option<f64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let of_task = |text: String| text.split_whitespace().next()?.parse::<u64>().ok();
    let texts = tasks.flatten().filter_map(|task| read_to_string(task.path().join("schedstat")).ok());
    let alive = texts.filter_map(of_task).sum::<u64>() as f64 / 1e9;
    let text = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; the third field follows it.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(alive.max((ticks(14)? + ticks(15)?) / clock_ticks_per_second() as f64))
}

fn switches(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let of_task = |text: String| -> u64 {
        let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
        lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
    };
    tasks.flatten().filter_map(|task| read_to_string(task.path().join("status")).ok()).map(of_task).sum()
}

/// Proportional resident memory (pages that processes share count once) and page tables of the model, in bytes.
pub(crate) fn memory(server: &Server) -> u64 {
    server.processes().into_iter().map(|pid| pss(pid).unwrap_or(0) + page_tables(pid).unwrap_or(0)).sum()
}

fn pss(pid: u32) -> Option<u64> {
    kib(&read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

fn page_tables(pid: u32) -> Option<u64> {
    kib(&read_to_string(format!("/proc/{pid}/status")).ok()?, "VmPTE:")
}

fn kib(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Threads of all processes of the model.
pub(super) fn threads(server: &Server) -> u64 {
    let of =
        |pid: u32| std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, |tasks| tasks.count() as u64);
    server.processes().into_iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).is_some());
        assert!(pss(pid).unwrap() > 100_000);
        assert!(page_tables(pid).is_some());
        std::thread::yield_now();
        assert!(switches(pid) > 0);
        assert_eq!(cpu_seconds(u32::MAX), None);
    }
}
