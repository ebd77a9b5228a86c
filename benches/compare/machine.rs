//! On what and with which versions the figures were measured.

use std::fs::read_to_string;

use super::foreign::{answer, java};

/// The lock file of this build: the versions that were compiled in.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The command line that repeats the measurement.
pub(crate) fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = "cargo run --release -p abaca-benches --bin compare";
    if arguments.is_empty() { command.to_owned() } else { format!("{command} -- {}", arguments.join(" ")) }
}

/// Sentences about the machine, the commit and versions.
pub(crate) fn description() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let processor =
        line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown processor".to_owned());
    let memory = line_of("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown memory".to_owned());
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut versions: Vec<String> =
        ["tokio", "async-channel", "may", "corosensei", "crossbeam-channel", "parking_lot"]
            .iter()
            .filter_map(|name| Some(format!("{name} {}", version(LOCK, name)?)))
            .collect();
    versions.extend(answer("rustc", &["--version"]));
    versions.extend(answer("go", &["version"]));
    versions.extend(java().and_then(|java| answer(java, &["--version"])));
    let kernel = kernel.trim();
    let commit = commit().unwrap_or_else(|| "no commit that git knows".to_owned());
    format!(
        "{processors} CPUs of {processor}, {memory}, Linux {kernel}. Of {commit}. {}.",
        versions.join(", ")
    )
}

/// What is measured, if this is a clone. Changes of documents, this page among them, do not count.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| answer("git", &[&["-C", env!("CARGO_MANIFEST_DIR")], arguments].concat());
    let commit = git(&["rev-parse", "--short=8", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--", ":/*.rs", ":/*.toml", ":/*.lock"])?;
    Some(format!("commit {commit}{}", if changes.is_empty() { "" } else { ", with changes" }))
}

fn line_of(path: &str, label: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_are_in_the_lock_file() {
        for name in ["tokio", "may", "corosensei"] {
            assert!(version(LOCK, name).is_some_and(|version| version.contains('.')), "{name}");
        }
    }
}
