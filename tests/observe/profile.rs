//! A profile by perf: the call graphs of fibers.

use std::process::{Command, Stdio};

use abaca_tests::{Tool, skip};

use super::child;

/// Computes for a while, in a fiber.
#[inline(never)]
pub(crate) fn burn() -> u64 {
    (0..60_000_000_u64).fold(1, |sum, n| std::hint::black_box(sum.wrapping_mul(3) ^ n))
}

#[test]
fn perf_shows_what_a_fiber_runs_up_to_its_start() {
    let folder = std::env::temp_dir().join(format!("abaca-perf-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let data = folder.join("perf.data");
    let mut record = Command::new("perf");
    record.args(["record", "-q", "-e", "cpu-clock", "-F", "199", "--call-graph", "dwarf,16384", "-o"]);
    let recorded = child::under(record.arg(&data).arg("--"), "burn").stdin(Stdio::null()).output();
    match recorded {
        Ok(output) if output.status.success() => {
            let mut script = Command::new("perf");
            script.args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"]).arg(&data);
            let output = script.stdin(Stdio::null()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let is_whole = |chain: &&str| chain.contains("profile::burn") && chain.contains("fiber_main");
            let chain = text.split("\n\n").find(is_whole);
            let chain =
                chain.unwrap_or_else(|| panic!("no chain leads to a fiber's start: {text} {output:?}"));
            assert!(chain.trim_end().lines().last().unwrap().contains("fiber_start"), "{chain}");
        }
        Ok(output) => skip(Tool::Perf, &format!("perf may not record: {}", child::stderr(&output))),
        Err(error) => skip(Tool::Perf, &format!("perf: {error}")),
    }
    std::fs::remove_dir_all(folder).unwrap();
}
