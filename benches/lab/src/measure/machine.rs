//! On what a run was made, and with which versions.

use std::collections::BTreeMap;
use std::fs::read_to_string;

use crate::data::Machine;
use crate::limits;
use crate::models::toolchain;

/// The lock file of this build: the versions that were compiled in.
const LOCK: &str = include_str!("../../Cargo.lock");

/// What the kernel says of itself and of the machine.
pub(super) fn machine() -> Machine {
    let memory = line_of("/proc/meminfo", "MemTotal")
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let read = |path: &str| {
        read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let limits = BTreeMap::from([
        ("open files".to_owned(), limits::open_files()),
        ("memory mappings".to_owned(), read("/proc/sys/vm/max_map_count")),
        ("threads".to_owned(), read("/proc/sys/kernel/threads-max")),
        ("connections in a run".to_owned(), limits::told_bound()),
        ("backlog".to_owned(), read("/proc/sys/net/core/somaxconn")),
    ]);
    Machine {
        processor: line_of("/proc/cpuinfo", "model name")
            .unwrap_or_else(|| "an unknown processor".to_owned()),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: memory * 1024,
        kernel: read("/proc/sys/kernel/osrelease"),
        limits,
    }
}

/// The project's own version, its peers', and the commands that take part.
pub(super) fn versions() -> BTreeMap<String, String> {
    let crates = ["abaca", "tokio", "may", "io-uring"];
    let compiled =
        crates.iter().filter_map(|name| Some(((*name).to_owned(), locked_version(name)?.to_owned())));
    compiled.chain(toolchain::versions()).collect()
}

fn line_of(path: &str, label: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn locked_version(name: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_the_crates_are_known() {
        let machine = machine();
        assert!(machine.cpus > 0 && machine.memory_bytes > 1 << 20, "{machine:?}");
        assert!(["abaca", "tokio", "may"].iter().all(|name| versions().contains_key(*name)));
    }
}
