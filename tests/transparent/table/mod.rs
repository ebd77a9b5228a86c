//! Which test holds each hook against libc's own, for each way in which a call can end. A hook that is in no row fails the test, and so does
//! one that no test calls by its name.
//!
//! | way | |
//! |---|---|
//! | blocking | it waits, and then there is something |
//! | non-blocking | it need not wait, or its user wants an error instead |
//! | timed | its time is up |
//! | interrupted | a handler of a signal has run |
//! | cancelled | its fiber is cancelled, or a deadline around it has passed |
//! | closed | its descriptor is closed under it |
//!
//! `file::test` is a test function of that file below this folder; `file.c` a program that the tests run with and without the hooks;
//! `signals` the program in `signals/`; `walks` a file of the crate itself. What begins with `-` is a reason.

mod calls;
mod descriptors;
mod threads;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

struct Row {
    hooks: &'static str,
    /// Blocking, non-blocking, timed, interrupted, cancelled, closed.
    ways: [&'static str; 6],
}

const NO_TIME: &str = "- it takes no time";
const NEVER: &str = "- it never waits";
const NO_DESCRIPTOR: &str = "- it has no descriptor";
const GOES_ON: &str = "- a handler does not end it";
const SHIELDED: &str = "- it is waited for to its end: the next call goes on where it ends, or it uses what cannot be copied, or holds a lock of libc's";
const LOOKS: &str = "- std's and pthread's loops only look again: the wait goes on";

/// All rows.
fn rows() -> impl Iterator<Item = &'static Row> {
    [descriptors::ROWS, calls::ROWS, threads::ROWS].into_iter().flatten()
}

/// The sources below this folder, by their names, and the folders.
fn sources() -> BTreeMap<String, String> {
    fn visit(folder: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                visit(&path, all);
                all.insert(name, String::new());
            } else if let Ok(text) = fs::read_to_string(&path) {
                all.insert(name.trim_end_matches(".rs").to_owned(), text);
            }
        }
    }
    let mut all = BTreeMap::new();
    // What only a test within the crate can bring about.
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/transparent/src/calls"), &mut all);
    visit(Path::new(env!("CARGO_MANIFEST_DIR")), &mut all);
    all
}

/// The words of the tests' code, without its comments and this table.
fn words() -> BTreeSet<String> {
    fn visit(folder: &Path, all: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("table") {
                    visit(&path, all);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let words = code.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')));
                all.extend(words.map(str::to_owned));
            }
        }
    }
    let mut all = BTreeSet::new();
    visit(Path::new(env!("CARGO_MANIFEST_DIR")), &mut all);
    all
}

#[test]
fn each_hook_is_called_by_its_name() {
    let words = words();
    let never: Vec<_> = abaca_transparent::hook_names().filter(|hook| !words.contains(*hook)).collect();
    assert!(never.is_empty(), "no test calls {never:?}");
}

#[test]
fn each_hook_has_a_test_for_each_way_to_end() {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows() {
        for hook in row.hooks.split_whitespace() {
            *found.entry(hook).or_default() += 1;
        }
    }
    let hooks: Vec<&str> = abaca_transparent::hook_names().collect();
    let missing: Vec<_> = hooks.iter().filter(|hook| !found.contains_key(**hook)).collect();
    assert!(missing.is_empty(), "in no row: {missing:?}");
    let twice: Vec<_> = found.iter().filter(|(hook, count)| **count != 1 || !hooks.contains(*hook)).collect();
    assert!(twice.is_empty(), "in several rows, or no hooks: {twice:?}");
    let sources = sources();
    for way in rows().flat_map(|row| row.ways).filter(|way| !way.starts_with('-')) {
        let (file, test) = way.split_once("::").unwrap_or((way, ""));
        let text = sources.get(file).unwrap_or_else(|| panic!("{way}: there is no such file"));
        assert!(
            test.is_empty()
                || ["", "    "].iter().any(|space| text.contains(&format!("#[test]\n{space}fn {test}("))),
            "{way}: there is no such test"
        );
    }
}
