//! What of the tests is left out on a machine without some tool. Each says so, past the capture of the test harness, and is a failure where
//! the tool is required.
//!
//! `ABACA_REQUIRE_TOOLS` has the names of the tools that are required, with spaces between them, or `all`.

use std::io::Write;

/// A tool that some tests need, or a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `strip`, `readelf` and `addr2line`.
    Binutils,
    /// A browser.
    Chromium,
    /// The core file of a process, with all its memory, from the kernel.
    Core,
    /// `c++`, a compiler for C++.
    Cxx,
    /// gdb with Python, and the right to attach to a process.
    Gdb,
    /// `perf record` by the processor's clock.
    Perf,
    /// Python's package `perfetto`.
    Perfetto,
    /// The right to be another user, and to mount.
    Root,
    /// userfaultfd(2).
    Userfaultfd,
    /// `valgrind`.
    Valgrind,
}

impl Tool {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Says that a test, or a part of one, is left out, and why.
///
/// # Panics
///
/// If the tool is required.
#[track_caller]
pub fn skip(tool: Tool, why: &str) {
    let required = std::env::var("ABACA_REQUIRE_TOOLS").unwrap_or_default();
    let name = tool.name();
    let is_required = required.split_whitespace().any(|one| one == name || one == "all");
    assert!(!is_required, "{name} is required: {why}");
    let place = std::panic::Location::caller();
    // Nobody reads it, or it is there.
    let _ = writeln!(std::io::stderr(), "SKIPPED at {place}: {why}");
}
