//! The limits of this process: raised as far as is allowed, and told.

use std::fs::read_to_string;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files: the hard limit to what the kernel allows at all, which takes a privilege, and the soft
/// one to the hard one. Returns how many files may be open then. Children inherit it.
pub fn raise_open_files() -> u64 {
    let most = kernel_open_files();
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let limit = getrlimit(Resource::Nofile);
    // What was allowed before is still allowed when this fails; `told` says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The most files that the kernel lets any process open.
fn kernel_open_files() -> Option<u64> {
    read_to_string("/proc/sys/fs/nr_open").ok()?.trim().parse().ok()
}

/// The limit of open files in words, and whether it could be raised as far as the kernel goes.
#[must_use]
pub fn open_files() -> String {
    let files = raise_open_files();
    match kernel_open_files() {
        Some(most) if files < most => format!("{files}; raising it to the kernel's {most} was not allowed"),
        _ => files.to_string(),
    }
}

/// What bounds the number of connections, in a line.
#[must_use]
pub fn told() -> String {
    format!("open files: {}; connections: {}", open_files(), told_bound())
}

/// The most connections, and which limit makes them the most.
#[must_use]
pub fn told_bound() -> String {
    format!("at most {}, by {}", most_connections(), bound().1)
}

/// Descriptors that are not connections: the standard streams, the poller, the files of the measurement.
const OTHER_FILES: u64 = 128;

/// What the greediest of models holds for a connection: a process. The machine shall survive it.
const BYTES_PER_CONNECTION: u64 = 200 << 10;

/// As many connections to one server as the limits allow: its open files and ours, the local ports, which a connection
/// to one address has for itself, and half of the memory that is available.
#[must_use]
pub fn most_connections() -> u64 {
    bound().0.max(1)
}

/// The least of the limits, and what it is of.
fn bound() -> (u64, &'static str) {
    let files = raise_open_files().saturating_sub(OTHER_FILES);
    let ports = local_ports().unwrap_or(u64::MAX);
    let memory = available_memory().map_or(u64::MAX, |bytes| bytes / 2 / BYTES_PER_CONNECTION);
    [(files, "open files"), (ports, "local ports"), (memory, "memory")]
        .into_iter()
        .min()
        .expect("there are three")
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
    fn what_limits_the_connections_is_told() {
        assert!(raise_open_files() >= getrlimit(Resource::Nofile).current.unwrap_or(0));
        let told = told();
        assert!(
            ["by open files", "by local ports", "by memory"].iter().any(|end| told.ends_with(end)),
            "{told}"
        );
    }

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
