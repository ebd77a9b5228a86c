//! The limits of this process: raised as far as is allowed, and told.

use std::fs::read_to_string;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one. Returns how many files may be open then.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // What was allowed before is still allowed when this fails.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Descriptors that are not connections: the standard streams, the poller, the files of the measurement.
const OTHER_FILES: u64 = 128;

/// What the greediest of models holds for a connection: a process. The machine shall survive it.
const BYTES_PER_CONNECTION: u64 = 200 << 10;

/// As many connections to one server as the limits allow: its open files and ours, the local ports, which a connection
/// to one address has for itself, and half of the memory that is available.
#[must_use]
pub fn most_connections() -> u64 {
    let files = raise_open_files().saturating_sub(OTHER_FILES);
    let ports = local_ports().unwrap_or(u64::MAX);
    let memory = available_memory().map_or(u64::MAX, |bytes| bytes / 2 / BYTES_PER_CONNECTION);
    files.min(ports).min(memory).max(1)
}

fn local_ports() -> Option<u64> {
    let range = read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    // The delay server's connections and those of other programs take some.
    Some(high.saturating_sub(low) * 9 / 10)
}

fn available_memory() -> Option<u64> {
    let meminfo = read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_connections_within_every_limit() {
        let most = most_connections();
        assert!(most >= 1 && most < raise_open_files(), "{most}");
        assert!(local_ports().is_some_and(|ports| most <= ports));
        assert!(
            available_memory().is_some_and(|bytes| most <= bytes / 2 / BYTES_PER_CONNECTION || most == 1)
        );
    }
}
