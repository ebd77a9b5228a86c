//! What is mirrored: each page of the originals, abaca's page for it, and what is different on purpose.
//!
//! An example is named by the item it documents (`method.park`), with `#n` for the n-th after the first. Examples that
//! need a nightly compiler are left out without an entry here. Every other example that is not compiled, run and
//! passed stands here with its reason, and an entry that is no longer needed fails the test.

mod channel;
mod fiber;
mod fs;
mod io;
mod net;
mod process;
mod sync;
mod time;

use crate::swap::Paths;

/// One page of an original's documentation.
pub(crate) struct Page {
    /// The page under std's documentation, or the crate and file of crossbeam's source.
    pub(crate) original: &'static str,
    /// The page under abaca's documentation whose items must answer to the original's; empty for a page with
    /// nothing but examples.
    pub(crate) ours: &'static str,
    /// How many examples it has that a stable compiler takes.
    pub(crate) examples: usize,
    /// Addresses and names in the examples that only exist elsewhere, and what the runner has instead.
    pub(crate) stand_ins: &'static [(&'static str, &'static str)],
    /// Examples that do not simply pass.
    pub(crate) exceptions: &'static [(&'static str, Exception)],
    /// Items that abaca's page does not have, or has otherwise: `fn name` for a method or a function, `impl Trait`.
    pub(crate) lacks: &'static [(&'static str, &'static str)],
}

/// Why an example does not simply pass.
#[derive(Clone, Copy)]
pub(crate) enum Exception {
    /// Compiled and not run: it would wait for a peer that does not exist, or touch what is outside.
    CompiledOnly(&'static str),
    /// Does not compile with abaca's paths.
    Rejected(&'static str),
    /// Passes with stand-ins of its own.
    With(&'static [(&'static str, &'static str)]),
}

/// What std would rather not have.
const DEPRECATED: &str = "deprecated in std, so not mirrored";

/// Nothing special.
const PAGE: Page = Page { original: "", ours: "", examples: 0, stand_ins: &[], exceptions: &[], lacks: &[] };

/// All pages of std.
pub(crate) fn std_pages() -> impl Iterator<Item = &'static Page> {
    [sync::PAGES, fiber::PAGES, net::PAGES, fs::PAGES, process::PAGES, io::PAGES, time::PAGES]
        .into_iter()
        .flatten()
}

/// All source files of crossbeam.
pub(crate) fn crossbeam_files() -> impl Iterator<Item = &'static Page> {
    channel::FILES.iter()
}

/// The pages of crossbeam-channel's types, for their items.
pub(crate) fn crossbeam_pages() -> impl Iterator<Item = &'static Page> {
    channel::PAGES.iter()
}

/// A name, or a header with names, of the original with the names that types have here.
pub(crate) fn rename(text: &str) -> String {
    let is_end = |char: char| !char.is_alphanumeric();
    let words = text.split_inclusive(is_end).map(|word| {
        let name = word.trim_end_matches(is_end);
        let ours = match name {
            "Thread" => "Fiber",
            "ThreadId" => "FiberId",
            name => name,
        };
        format!("{ours}{}", &word[name.len()..])
    });
    words.collect()
}

/// The paths to swap: none for examples that run as they are, nor under `MIRROR_CONTROL=1`, where what fails says nothing about abaca, and
/// only what is `Rejected` here may complain.
pub(crate) fn paths() -> &'static Paths {
    let are_unchanged = crate::form().is_unchanged() || std::env::var_os("MIRROR_CONTROL").is_some();
    if are_unchanged { &[] } else { PATHS }
}

/// Paths whose originals are mirrored. The longest prefix counts; what is not here stays std's.
const PATHS: &Paths = &[
    ("std::sync", "abaca::sync"),
    ("std::thread", "abaca::fiber"),
    ("thread_local!", "abaca::fiber_local!"),
    ("std::thread_local!", "abaca::fiber_local!"),
    ("std::net", "abaca::net"),
    ("std::os::unix::net", "abaca::net::unix"),
    ("std::fs", "abaca::fs"),
    ("std::process", "abaca::process"),
    ("std::io", "abaca::io"),
    ("std::time", "abaca::time"),
    ("print!", "abaca::print!"),
    ("println!", "abaca::println!"),
    ("eprint!", "abaca::eprint!"),
    ("eprintln!", "abaca::eprintln!"),
    ("crossbeam_channel", "abaca::channel"),
    ("crossbeam_utils::sync::WaitGroup", "abaca::sync::WaitGroup"),
];
